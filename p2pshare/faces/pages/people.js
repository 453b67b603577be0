// Peers, and what they do.

import { ago, count, html, Panel } from "/static/base.js";

const SHOWN = 50;

/** Everybody who registered, those online first. */
export function PeerPanel({ peers }) {
  const sorted = [...peers].sort((one, other) => other.is_online - one.is_online || other.shared_files - one.shared_files);
  return html`
    <${Panel} title="Peers" id="peers">
      ${peers.length === 0 && html`<p class="quiet">No peer has registered.</p>`}
      <ul class="plain rows">
        ${sorted.slice(0, SHOWN).map((peer) => html`
          <li key=${peer.id}>
            <div class="main">
              <div class="wrap"><code>${peer.address}:${peer.port}</code></div>
              <small>${count(peer.shared_files)} files · Rep: ${peer.reputation}${peer.region && ` · ${peer.region}`} · ${ago(peer.last_seen)}</small>
            </div>
            <span class=${`dot ${peer.is_online ? "good" : "bad"}`}>${peer.is_online ? "Online" : "Offline"}</span>
          </li>`)}
      </ul>
      ${sorted.length > SHOWN && html`<small>and ${count(sorted.length - SHOWN)} more</small>`}
    <//>`;
}

function told(event) {
  const about = event.data;
  switch (event.type) {
    case "peer_registered": return `${about.address}:${about.port} joined`;
    case "file_registered": return `${about.filename} is shared`;
    case "file_unregistered": return `${about.filename} is no longer shared`;
    case "peer_offline": return `${about.address}:${about.port} is offline`;
    case "completed": return `${about.name ?? about.info_hash} was fetched completely`;
    default: return event.type.replaceAll("_", " ");
  }
}

/** What happened lately, newest first. */
export const ActivityPanel = ({ events }) => html`
  <${Panel} title="Activity" id="activity">
    ${events.length === 0 && html`<p class="quiet">Nothing has happened yet.</p>`}
    <ul class="plain rows">
      ${events.slice(0, 12).map((event) => html`
        <li key=${event.timestamp + event.type}><div class="main wrap">${told(event)}</div><small class="number">${ago(event.timestamp)}</small></li>`)}
    </ul>
  <//>`;
