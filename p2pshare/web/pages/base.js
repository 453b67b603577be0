// What all pages share: asking the service, hearing from it, and the small parts they are built of.
// Text becomes text nodes, never markup, so a file may be called whatever it likes.

import { html as plain, render, useCallback, useEffect, useRef, useState } from "/static/vendor/preact-htm.js";

export { render, useCallback, useEffect, useRef, useState };

// They turn the direction of what follows: a file could seem to be another one.
const TURNS = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Make elements; of text between them every character is seen, and values of attributes are left as they are. */
export const html = (parts, ...values) =>
  plain(parts, ...values.map((value, at) => (typeof value === "string" && !parts[at].endsWith("=") ? value.replace(TURNS, "\ufffd") : value)));

const RECONNECT_AFTER = 5000; // ms

/** A refusal of the service, with its status and in its words. */
export class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** Ask the service for JSON; throws a Refusal. */
export async function ask(path, options = {}) {
  const reply = await fetch(path, { headers: { Accept: "application/json" }, ...options });
  const text = await reply.text();
  const value = parsed(text);
  if (!reply.ok) throw new Refusal(reply.status, value?.error ?? value?.detail ?? `${reply.status} ${reply.statusText}`);
  return value;
}

/** Send a file as multipart/form-data, telling how much of it is on its way as a number from 0 to 1. */
export function send(path, file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", file);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Refusal(0, "the service cannot be reached"));
    request.onload = () => {
      const value = parsed(request.responseText);
      if (request.status < 300) resolve(value);
      else reject(new Refusal(request.status, value?.detail ?? value?.error ?? `${request.status} ${request.statusText}`));
    };
    request.open("POST", path);
    request.send(form);
  });
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/** Hear messages of the service; a lost connection is made again after five seconds. Tells whether it stands. */
export function useSocket(path, onMessage, onOpen) {
  const [isOpen, setOpen] = useState(false);
  const hear = useRef(null);
  hear.current = { onMessage, onOpen };
  useEffect(() => {
    let socket = null;
    let timer = null;
    let ended = false;
    const connect = () => {
      socket = new WebSocket(new URL(path, location.href.replace(/^http/, "ws")));
      socket.onopen = () => {
        setOpen(true);
        hear.current.onOpen();
      };
      socket.onmessage = (event) => hear.current.onMessage(JSON.parse(event.data));
      socket.onclose = () => {
        setOpen(false);
        if (!ended) timer = setTimeout(connect, RECONNECT_AFTER);
      };
    };
    connect();
    return () => {
      ended = true;
      clearTimeout(timer);
      socket.close();
    };
  }, [path]);
  return isOpen;
}

/** Call something once a burst of wishes for it is over; at most every `pause` ms. */
export function useCalm(action, pause = 300) {
  const timer = useRef(null);
  const latest = useRef(action);
  latest.current = action;
  useEffect(() => () => clearTimeout(timer.current), []);
  return useCallback(() => {
    if (timer.current === null) {
      timer.current = setTimeout(() => {
        timer.current = null;
        latest.current();
      }, pause);
    }
  }, [pause]);
}

/** Keep short notes for people: [notes, add(text, kind)]. */
export function useToasts() {
  const [toasts, setToasts] = useState([]);
  const add = useCallback((text, kind = "") => {
    const id = Math.random();
    setToasts((all) => [...all.slice(-4), { id, text, kind }]);
    setTimeout(() => setToasts((all) => all.filter((toast) => toast.id !== id)), 5000);
  }, []);
  return [toasts, add];
}

export const Toasts = ({ toasts }) => html`
  <div class="toasts" role="status" aria-live="polite">
    ${toasts.map((toast) => html`<div key=${toast.id} class=${`toast wrap ${toast.kind}`}>${toast.text}</div>`)}
  </div>`;

/** One figure with its name. */
export const Card = ({ name, value, hint }) => html`
  <div class="panel card"><dl><dt>${name}</dt><dd class="number">${value}</dd></dl>${hint && html`<small>${hint}</small>`}</div>`;

/** A part of a page with a heading and, beside it, controls. */
export const Panel = ({ title, controls, id, children }) => html`
  <section class="panel" aria-labelledby=${id}>
    <header><h2 id=${id}>${title}</h2>${controls}</header>
    ${children}
  </section>`;

/** A line of the last values, as small as a word. */
export function Sparkline({ values, label }) {
  const last = values.length - 1;
  const top = Math.max(1, ...values);
  const points = values.map((value, at) => `${last ? (100 * at) / last : 0},${29 - (28 * value) / top}`).join(" ");
  return html`<svg class="spark" viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label=${label}>
    <polyline points=${values.length === 1 ? `${points} 100,${points.split(",")[1]}` : points} />
  </svg>`;
}

/** Put text on the clipboard, and say that it is there. */
export function CopyButton({ text, name, onDone }) {
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    onDone(`${name} copied`);
  };
  return html`<button type="button" class="link" onClick=${copy}>${name}</button>`;
}

/** Parts of a page behind one another: `tabs` are [id, name]; the arrow keys, Home and End go through them. */
export function Tabs({ label, tabs, chosen, onChoose }) {
  const row = useRef(null);
  const press = (event) => {
    const at = tabs.findIndex(([id]) => id === chosen);
    const last = tabs.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at ? at - 1 : last, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    onChoose(tabs[to][0]);
    row.current.children[to].focus();
  };
  return html`
    <div class="tabs" role="tablist" aria-label=${label} ref=${row} onKeyDown=${press}>
      ${tabs.map(([id, name]) => html`
        <button key=${id} type="button" role="tab" id=${`tab-${id}`} aria-controls=${`part-${id}`} aria-selected=${String(id === chosen)}
          tabindex=${id === chosen ? 0 : -1} onClick=${() => onChoose(id)}>${name}</button>`)}
    </div>`;
}

/** What stands behind a tab; it exists only while that is chosen. */
export const TabPart = ({ id, chosen, children }) => html`
  <div class="part" role="tabpanel" id=${`part-${id}`} aria-labelledby=${`tab-${id}`} hidden=${id !== chosen}>
    ${id === chosen && children}
  </div>`;

/** A question or a closer look, in front of the page until it is closed, or somebody presses Escape. */
export function Dialog({ title, onClose, children }) {
  const box = useRef(null);
  useEffect(() => {
    box.current.showModal();
    return () => box.current?.close(); // gives the focus back
  }, []);
  return html`
    <dialog ref=${box} aria-labelledby="dialog-title" onClose=${onClose}
      onClick=${(event) => event.target === box.current && box.current.close()}>
      <h2 id="dialog-title" class="wrap">${title}</h2>
      ${children}
    </dialog>`;
}

/** Light or dark: as the system has it, until somebody chooses. */
export function ThemeButton() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme);
  const toggle = () => {
    const next = theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", next);
    document.documentElement.dataset.theme = next;
    setTheme(next);
  };
  return html`<button type="button" class="bare" onClick=${toggle} aria-label=${`Use ${theme === "dark" ? "light" : "dark"} colours`}>
    ${theme === "dark" ? "☀" : "☾"}</button>`;
}

/** 1.5 MiB */
export function amount(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let step = 0;
  let value = bytes;
  while (value >= 1024 && step < units.length - 1) {
    value /= 1024;
    step += 1;
  }
  return `${step && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[step]}`;
}

/** 1.5 MiB/s */
export const speed = (rate) => `${amount(rate)}/s`;

/** 2 h 5 min */
export function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d`;
}

/** 12,345 */
export const count = (number) => Number(number).toLocaleString("en");

/** 5 min ago; of a time as RFC 3339 has it */
export function ago(time, now = Date.now()) {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
  }
  return "just now";
}
