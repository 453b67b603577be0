// The dashboard: what can be found here, who is here, and what happens, without reloading.

import { ask, Card, count, html, render, ThemeButton, Toasts, useCalm, useEffect, useSocket, useState, useToasts } from "/static/base.js";
import { FilePanel, PopularPanel } from "/static/files.js";
import { ActivityPanel, PeerPanel } from "/static/people.js";
import { SwarmPanel } from "/static/swarms.js";
import { OnlinePanel } from "/static/online.js";
import { UploadPanel } from "/static/upload.js";

const NOTHING = { is_missing: true, total_peers: 0, online_peers: 0, total_files: 0, total_downloads: 0, network_health: 0 };
const KEPT_EVENTS = 30;

function Dashboard() {
  const [stats, setStats] = useState(NOTHING);
  const [peers, setPeers] = useState([]);
  const [swarms, setSwarms] = useState([]);
  const [events, setEvents] = useState([]);
  const [words, setWords] = useState("");
  const [version, setVersion] = useState(0); // grows whenever files may have changed
  const [toasts, toast] = useToasts();

  const load = (path, use) => ask(path).then(use, (error) => toast(`${path}: ${error.message}`, "bad"));
  const loadPeers = () => load("/api/v1/peers", setPeers);
  const loadSwarms = () => load("/api/v1/swarms", (reply) => setSwarms(reply.swarms));
  const loadAll = () => {
    load("/api/v1/stats", setStats);
    load("/api/v1/activity", (reply) => setEvents(reply.events));
    loadPeers();
    loadSwarms();
    setVersion((now) => now + 1);
  };
  const soonPeers = useCalm(loadPeers);
  const soonFiles = useCalm(() => setVersion((now) => now + 1));

  const hear = (message) => {
    if (message.type === "stats_update") {
      setStats(message.data);
      soonPeers();
      return;
    }
    if (message.type === "swarms_update") {
      loadSwarms();
      return;
    }
    setEvents((all) => [message, ...all].slice(0, KEPT_EVENTS));
    if (message.type === "peer_registered") {
      toast(`New peer: ${message.data.address}:${message.data.port}`);
      soonPeers();
    } else if (message.type === "file_registered") {
      toast(`New file: ${message.data.filename}`);
      soonFiles();
    } else if (message.type === "file_unregistered") {
      soonFiles();
    } else if (message.type === "peer_offline") {
      soonPeers();
    }
  };
  const isLive = useSocket("/ws", hear, loadAll);
  useEffect(loadAll, []);

  return html`
    <header class="top">
      <h1>p2pshare</h1>
      <form role="search" onSubmit=${(event) => event.preventDefault()}>
        <label class="hidden" for="words">Search files</label>
        <input id="words" type="search" placeholder="Search names, tags and files inside torrents" maxlength="500"
          value=${words} onInput=${(event) => setWords(event.target.value)} />
      </form>
      <span class=${`dot ${isLive ? "good" : "bad"}`} id="live">${isLive ? "live" : "reconnecting"}</span>
      <a href="/docs">API</a>
      <${ThemeButton} />
    </header>
    <div class="cards" id="figures">
      <${Card} name="Online peers" value=${count(stats.online_peers)} hint=${`of ${count(stats.total_peers)}`} />
      <${Card} name="Files" value=${count(stats.total_files)} />
      <${Card} name="Downloads" value=${count(stats.total_downloads)} />
      <${Card} name="Health" value=${`${Math.round(stats.network_health)} %`} hint="online of all peers" />
    </div>
    <div class="columns">
      <div class="column">
        <${FilePanel} words=${words} version=${version} toast=${toast} />
        <${SwarmPanel} swarms=${swarms} toast=${toast} />
        <${PopularPanel} version=${version} toast=${toast} />
      </div>
      <div class="column">
        <${UploadPanel} toast=${toast} onDone=${soonFiles} />
        <${OnlinePanel} online=${stats.online_peers} swarms=${swarms} isLoaded=${!stats.is_missing} />
        <${PeerPanel} peers=${peers} />
        <${ActivityPanel} events=${events} />
      </div>
    </div>
    <${Toasts} toasts=${toasts} />`;
}

const page = document.getElementById("page");
page.replaceChildren();
render(html`<${Dashboard} />`, page);
