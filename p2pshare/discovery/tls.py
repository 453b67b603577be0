"""
HTTPS for the agents.

Imported where the first URL asks for it, and nowhere else: OpenSSL and all that comes with it take longer to load than
a small torrent takes to fetch, and most trackers speak plain HTTP.
"""

from __future__ import annotations

from attrs import define
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.ssl import optionsForClientTLS, platformTrust
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from p2pshare.errors import TrackerUnreachable


@implementer(IPolicyForHTTPS)
class SystemRoots:
    """Believes a host that has a certificate for its name from somebody whom the system trusts."""

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """Give what makes the TLS side of connections to a host."""
        return optionsForClientTLS(hostname.decode("ascii"), trustRoot=platformTrust())


def over_tls(
    endpoint: IStreamClientEndpoint, policy: IPolicyForHTTPS | None, host: bytes, port: int, clock: IReactorTime
) -> IStreamClientEndpoint:
    """
    Speak TLS over the connections of an endpoint.

    :param policy: how certificates are checked; None: against the system's roots and with the host's name.
    :raise TrackerUnreachable: TLS cannot be had on this machine.
    """
    try:
        creator = (policy or SystemRoots()).creatorForNetloc(host, port)
    except SSL.Error as error:
        raise TrackerUnreachable(explain(error) or "TLS cannot be had on this machine") from error
    return _TLSEndpoint(endpoint, creator, clock)


def explain(error: BaseException) -> str | None:
    """Find the words for what went wrong in TLS; None: it was something else."""
    if isinstance(error, VerificationError):
        return "TLS: the certificate is for another name"
    if isinstance(error, SSL.Error) and error.args and isinstance(error.args[0], list):
        return "TLS: " + ", ".join(str(entry[-1]) for entry in error.args[0])
    return None


@implementer(IStreamClientEndpoint)
@define(eq=False)
class _TLSEndpoint:
    # As Twisted's wrapClientTLS, which is not there when Twisted was loaded before OpenSSL could be had.

    _inner: IStreamClientEndpoint
    _creator: IOpenSSLClientConnectionCreator
    _clock: IReactorTime

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        factory = TLSMemoryBIOFactory(self._creator, True, protocolFactory, self._clock)
        factory.noisy = False
        return self._inner.connect(factory).addCallback(_unwrapped)


def _unwrapped(wrapper: IProtocol) -> IProtocol:
    assert isinstance(wrapper, ProtocolWrapper)
    protocol: IProtocol = wrapper.wrappedProtocol
    return protocol
