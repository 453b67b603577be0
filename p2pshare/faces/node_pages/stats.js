// Stats: what this node has fetched and given, and who it is.

import { amount, ask, count, html, Panel, Sparkline, speed, useEffect, useState } from "/static/base.js";

const AGAIN = 2000; // ms

const Facts = ({ facts }) => html`<dl class="facts">${facts.map(([name, value]) => html`<dt>${name}</dt><dd class="number">${value}</dd>`)}</dl>`;

/** Figures since the node was started. */
export function StatsPart({ info, rates, toast }) {
  const [stats, setStats] = useState(null);
  useEffect(() => {
    const look = (complain) => ask("/api/v1/stats").then(setStats, (error) => complain && toast(`stats: ${error.message}`, "bad"));
    look(true);
    const timer = setInterval(look, AGAIN);
    return () => clearInterval(timer);
  }, []);
  const { download_stats: down, upload_stats: up, swarm_stats: swarm } = stats ?? {};
  return html`
    <div class="groups">
      ${stats && html`
        <${Panel} title="Fetched" id="fetched">
          <${Facts} facts=${[["Torrents", count(down.total_downloads)], ["Payload", amount(down.total_bytes)], ["Under way", count(down.active_downloads)], ["Now", speed(swarm.down_rate)]]} />
          <${Sparkline} values=${rates.down} label="download rate of the last minute" />
        <//>
        <${Panel} title="Given" id="given">
          <${Facts} facts=${[["Files", count(up.total_uploads)], ["Over HTTP", amount(up.total_bytes)], ["Under way", count(up.active_uploads)], ["To swarms", amount(swarm.uploaded)], ["Now", speed(swarm.up_rate)]]} />
          <${Sparkline} values=${rates.up} label="upload rate of the last minute" />
        <//>`}
      <${Panel} title="This node" id="node">
        <dl class="facts">
          <dt>Id</dt><dd><code>${info.id}</code></dd>
          <dt>Files at</dt><dd>${info.address || "not known"}</dd>
          <dt>Peer port</dt><dd>${info.peer_port || "none"}</dd>
          <dt>Index</dt><dd>${info.super_peer ?? "none"} ${info.super_peer && html`<span class=${`dot ${info.is_registered ? "good" : "bad"}`}>${info.is_registered ? "registered" : "not registered"}</span>`}</dd>
          ${info.trouble && html`<dt>Trouble</dt><dd class="bad">${info.trouble}</dd>`}
          <dt>Region</dt><dd>${info.region || "none"}</dd>
          <dt>Version</dt><dd>${info.version}</dd>
        </dl>
      <//>
    </div>`;
}
