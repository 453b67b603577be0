// Swarms: who has what, and how that went in the last while.

import { count, html, Panel, Sparkline } from "/static/base.js";

/** The swarms with most members. */
export const SwarmPanel = ({ swarms }) => html`
  <${Panel} title="Swarms" id="swarms">
    ${swarms.length === 0 && html`<p class="quiet">Nobody announces here yet.</p>`}
    ${swarms.length > 0 && html`
      <div class="scroll"><table>
        <thead><tr><th>Name</th><th class="number">Seeds</th><th class="number">Leeches</th>
          <th class="number">Completed</th><th class="wide">Members</th></tr></thead>
        <tbody>
          ${swarms.map((swarm) => html`
            <tr key=${swarm.info_hash}>
              <td class="wrap">${swarm.name ?? html`<code title=${swarm.info_hash}>${swarm.info_hash.slice(0, 12)}…</code>`}</td>
              <td class="number">${count(swarm.seeders)}</td>
              <td class="number">${count(swarm.leechers)}</td>
              <td class="number">${count(swarm.completed)}</td>
              <td class="wide"><${Sparkline} values=${swarm.history} label=${`members, now ${swarm.seeders + swarm.leechers}`} /></td>
            </tr>`)}
        </tbody>
      </table></div>`}
  <//>`;
