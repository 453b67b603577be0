// Transfers: the torrents of this node, and of the one chosen its peers and pieces.

import { amount, ask, count, Dialog, duration, html, Panel, send, speed, useCalm, useEffect, useRef, useState } from "/static/base.js";
import { PieceMap } from "/static/pieces.js";

const AGAIN = 2000; // ms between two looks at the torrent chosen
const FLAGS = {
  D: "we download from it", d: "we would, but it does not let us", U: "it downloads from us", u: "it would, but we do not let it",
  K: "it lets us, and we want nothing", "?": "we let it, and it wants nothing", S: "it does not answer our requests", I: "it called us",
};

const told = (torrent) => [
  torrent.state === "checking" ? `checking ${Math.round(torrent.checked * 100)} %` : torrent.state,
  `${torrent.percent} % of ${amount(torrent.size)}`,
  `↓ ${speed(torrent.down_rate)}`, `↑ ${speed(torrent.up_rate)}`, `${count(torrent.peers)} peer${torrent.peers === 1 ? "" : "s"}`,
  torrent.eta > 0 && `${duration(torrent.eta)} left`,
].filter(Boolean).join(" · ");

/** All torrents; what happens is merged in as it is told. */
function useTorrents(moving, toast) {
  const [list, setList] = useState(null);
  const before = useRef(moving);
  const load = () => ask("/api/v1/torrents").then((reply) => setList(reply.torrents), (error) => toast(`torrents: ${error.message}`, "bad"));
  const soon = useCalm(load);
  useEffect(() => { load(); }, []);
  useEffect(() => {
    const busy = new Map(moving.torrents.map((torrent) => [torrent.info_hash, torrent]));
    const isOver = before.current.torrents.some((torrent) => !busy.has(torrent.info_hash));
    if (isOver || moving.total !== before.current.total) soon(); // those have come to rest, or are gone
    before.current = moving;
    setList((all) => all?.map((torrent) => busy.get(torrent.info_hash) ?? torrent));
  }, [moving]);
  return [list ?? [], list !== null, soon];
}

const Peers = ({ peers }) => html`
  <div class="scroll"><table>
    <thead><tr><th>Peer</th><th class="wide">Program</th><th>Flags</th><th class="number">Has</th><th class="number">Down</th><th class="number">Up</th></tr></thead>
    <tbody>
      ${peers.map((peer) => html`
        <tr key=${peer.address}>
          <td><code class="wrap">${peer.address}</code></td>
          <td class="wide wrap">${peer.client}</td>
          <td><abbr title=${[...peer.flags].map((flag) => `${flag}: ${FLAGS[flag]}`).join("\n")}>${peer.flags}</abbr></td>
          <td class="number">${peer.percent} %</td>
          <td class="number">${speed(peer.down_rate)}</td>
          <td class="number">${speed(peer.up_rate)}</td>
        </tr>`)}
    </tbody>
  </table></div>`;

function Details({ torrent, toast, onChange }) {
  const [about, setAbout] = useState(null);
  const [isLeaving, setLeaving] = useState(false);
  const path = `/api/v1/torrents/${torrent.info_hash}`;
  useEffect(() => {
    let isHere = true;
    const look = () => ask(path).then((found) => isHere && setAbout(found), () => {}); // it may have been removed
    look();
    const timer = setInterval(look, AGAIN);
    return () => {
      isHere = false;
      clearInterval(timer);
    };
  }, [path, torrent.state]);
  const tell = async (way, method = "POST") => {
    try {
      const done = await ask(`${path}${way}`, { method });
      toast(`${done.name}: ${done.message}`);
    } catch (error) {
      toast(`${torrent.name}: ${error.message}`, "bad");
    }
    onChange();
  };
  const isPaused = torrent.state === "paused";
  const controls = html`
    <button type="button" onClick=${() => tell(isPaused ? "/resume" : "/pause")}>${isPaused ? "Resume" : "Pause"}</button>
    <button type="button" disabled=${isPaused} onClick=${() => tell("/recheck")}>Recheck</button>
    <button type="button" onClick=${() => setLeaving(true)}>Remove</button>`;
  return html`
    <${Panel} title=${torrent.name} id="chosen" controls=${controls}>
      ${torrent.error && html`<p class="bad wrap" role="alert">${torrent.error}</p>`}
      ${about?.piece_map && html`<${PieceMap} cells=${about.piece_map} perCell=${about.pieces_per_cell}
        done=${about.torrent.pieces_done} total=${about.torrent.pieces_total} />`}
      <dl class="facts">
        <dt>Info hash</dt><dd><code>${torrent.info_hash}</code></dd>
        <dt>Moved</dt><dd>↓ ${amount(torrent.downloaded)} · ↑ ${amount(torrent.uploaded)} · ratio ${torrent.ratio}</dd>
        ${about?.trackers.map((tracker) => html`<dt>Tracker</dt><dd>${tracker.url} <small>${tracker.state}</small>
          ${tracker.last_error && html` <small class="bad">${tracker.last_error}</small>`}</dd>`)}
      </dl>
      ${about?.peers.length > 0 && html`<${Peers} peers=${about.peers} />`}
    <//>
    ${isLeaving && html`<${Removal} torrent=${torrent} onClose=${() => setLeaving(false)} onSure=${() => tell("", "DELETE")} />`}`;
}

function Removal({ torrent, onClose, onSure }) {
  const row = useRef(null);
  const close = () => row.current.closest("dialog").close();
  return html`
    <${Dialog} title=${`Remove ${torrent.name}?`} onClose=${onClose}>
      <p>Its files stay on the disk.</p>
      <div class="actions" ref=${row}>
        <button type="button" onClick=${close}>Keep it</button>
        <button type="button" class="danger" onClick=${() => { onSure(); close(); }}>Remove</button>
      </div>
    <//>`;
}

/** The list, and a closer look at one of it. */
export function TransferPart({ moving, toast }) {
  const [torrents, isLoaded, reload] = useTorrents(moving, toast);
  const [chosen, setChosen] = useState(null);
  const input = useRef(null);
  const add = async (file) => {
    try {
      const done = await send("/api/v1/torrents", file, () => {});
      toast(`${done.name}: ${done.message}`);
    } catch (error) {
      toast(`${file.name}: ${error.message}`, "bad");
    }
    reload();
  };
  const torrent = torrents.find((one) => one.info_hash === chosen);
  const controls = html`
    <button type="button" onClick=${() => input.current.click()}>Add a torrent file</button>
    <input ref=${input} id="torrent" type="file" accept=".torrent" class="hidden" tabindex="-1" aria-label="Torrent file"
      onChange=${(event) => { if (event.target.files[0]) add(event.target.files[0]); event.target.value = ""; }} />`;
  return html`
    <${Panel} title="Torrents" id="torrents" controls=${controls}>
      ${isLoaded && torrents.length === 0 && html`<p class="quiet">There is no torrent here.</p>`}
      <ul class="plain rows" aria-label="Torrents">
        ${torrents.map((one) => html`
          <li key=${one.info_hash} class=${one.info_hash === chosen ? "chosen" : ""}>
            <div class="torrent">
              <button type="button" class="link name wrap" aria-expanded=${String(one.info_hash === chosen)}
                onClick=${() => setChosen(one.info_hash === chosen ? null : one.info_hash)}>${one.name}</button>
              <progress max="100" value=${one.state === "checking" ? one.checked * 100 : one.percent} aria-label=${`${one.name}: ${one.percent} %`}></progress>
              <small class="wrap">${told(one)}</small>
              ${one.error && html` <small class="bad wrap">${one.error}</small>`}
            </div>
          </li>`)}
      </ul>
      ${moving.total > torrents.length && isLoaded && html`<small>${count(torrents.length)} of ${count(moving.total)} are shown</small>`}
    <//>
    ${torrent && html`<${Details} key=${chosen} torrent=${torrent} toast=${toast} onChange=${reload} />`}`;
}
