// Which pieces of a torrent are here, as a map.

import { count, html, useEffect, useRef } from "/static/base.js";

const CELL = 10; // CSS pixels, with the line between two

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** One square for each digit of `cells`: the fuller, the more of its pieces are here. */
export function PieceMap({ cells, perCell, done, total }) {
  const place = useRef(null);
  useEffect(() => {
    const canvas = place.current;
    const draw = () => {
      const width = canvas.parentElement.clientWidth;
      const columns = Math.max(1, Math.floor(width / CELL));
      const sharp = devicePixelRatio || 1;
      canvas.width = columns * CELL * sharp;
      canvas.height = Math.ceil(cells.length / columns) * CELL * sharp;
      const pen = canvas.getContext("2d");
      pen.scale(sharp, sharp);
      const [empty, full] = [colour("--line"), colour("--accent")];
      [...cells].forEach((digit, at) => {
        const [x, y] = [(at % columns) * CELL, Math.floor(at / columns) * CELL];
        pen.globalAlpha = 1;
        pen.fillStyle = empty;
        pen.fillRect(x, y, CELL - 1, CELL - 1);
        pen.globalAlpha = Number(digit) / 9;
        pen.fillStyle = full;
        pen.fillRect(x, y, CELL - 1, CELL - 1);
      });
    };
    draw();
    const fit = new ResizeObserver(draw);
    fit.observe(canvas.parentElement);
    const redraw = new MutationObserver(draw);
    redraw.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      fit.disconnect();
      redraw.disconnect();
    };
  }, [cells]);
  return html`<div><canvas class="map" ref=${place} role="img" aria-label=${`${count(done)} of ${count(total)} pieces are here`}></canvas>
    <p><small>${count(done)} of ${count(total)} pieces are here${perCell > 1 ? `; a square is ${count(perCell)} of them` : ""}</small></p></div>`;
}
