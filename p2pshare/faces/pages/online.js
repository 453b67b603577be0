// How many are here, since this page was opened.

import { count, html, Panel, useEffect, useRef } from "/static/base.js";
import uPlot from "/static/vendor/uplot.js";

const SHORTEST = 60; // seconds shown
const KEPT = 360; // points, one for each change or ten seconds

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A chart of the peers online and of the members of all swarms. */
export function OnlinePanel({ online, swarms, isLoaded }) {
  const place = useRef(null);
  const plot = useRef(null);
  const points = useRef([[], [], []]);
  const members = swarms.reduce((sum, swarm) => sum + swarm.seeders + swarm.leechers, 0);
  const latest = useRef(null);
  latest.current = [online, members];

  useEffect(() => {
    const box = place.current;
    const axis = { stroke: () => colour("--quiet"), grid: { stroke: () => colour("--line") } };
    plot.current = new uPlot({
      width: box.clientWidth,
      height: 150,
      legend: { show: false },
      scales: {
        x: { range: (_, low, high) => [Math.min(low, high - SHORTEST), high] },
        y: { range: (_, low, high) => [0, Math.max(4, high)] },
      },
      axes: [axis, { ...axis, size: 36 }],
      series: [{}, { stroke: () => colour("--good"), width: 2 }, { stroke: () => colour("--accent"), width: 2 }],
    }, points.current, box);
    const fit = new ResizeObserver(() => plot.current.setSize({ width: box.clientWidth, height: 150 }));
    fit.observe(box);
    const redraw = new MutationObserver(() => plot.current.redraw());
    redraw.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    const timer = setInterval(() => note(), 10000);
    return () => {
      clearInterval(timer);
      fit.disconnect();
      redraw.disconnect();
      plot.current.destroy();
    };
  }, []);

  const note = () => {
    const [times, peers, all] = points.current;
    times.push(Date.now() / 1000);
    peers.push(latest.current[0]);
    all.push(latest.current[1]);
    for (const series of points.current) if (series.length > KEPT) series.shift();
    plot.current?.setData(points.current);
  };
  useEffect(() => { if (isLoaded) note(); }, [online, members, isLoaded]);

  return html`
    <${Panel} title="Online" id="online">
      <div class="figure" ref=${place} aria-hidden="true"></div>
      <p class="legend"><span class="good">${count(online)} peers online</span> <span class="accent">${count(members)} in swarms</span></p>
    <//>`;
}
