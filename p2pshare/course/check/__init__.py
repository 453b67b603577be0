"""What the logs of a course swarm say, whoever wrote them, and whether it can be true."""
