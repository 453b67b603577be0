// The page of a node: what it shares, what can be found from it, and what moves.

import {
  amount, Card, count, html, render, speed, TabPart, Tabs, ThemeButton, Toasts, useCalm, useEffect, useRef, useSocket, useState, useToasts,
} from "/static/base.js";
import { OwnFiles } from "/static/own.js";
import { SearchPart } from "/static/search.js";
import { SharePart, useUploads } from "/static/share.js";
import { StatsPart } from "/static/stats.js";
import { TransferPart } from "/static/transfers.js";

const TABS = [["files", "Files"], ["share", "Share"], ["search", "Search"], ["transfers", "Transfers"], ["stats", "Stats"]];
const NOBODY = { id: "", address: "", super_peer: null, is_registered: false, trouble: null, trackers: [], shared_files: 0, shared_bytes: 0, problems: 0, max_file_size: Infinity };
const NOTHING = { torrents: [], total: 0, down_rate: 0, up_rate: 0 };
const HISTORY = 60; // seconds of rates
const SAID = {
  file_added: (file) => `${file.filename} is shared now`,
  file_shared: (file) => `${file.filename} is shared now`,
  file_removed: (file) => `${file.filename} is gone`,
  file_unshared: (file) => `${file.filename} is no longer shared`,
};

const tabInAddress = () => TABS.find(([id]) => `#${id}` === location.hash)?.[0] ?? "files";

function NodePage() {
  const [tab, setTab] = useState(tabInAddress());
  const [info, setInfo] = useState(NOBODY);
  const [moving, setMoving] = useState(NOTHING);
  const [version, setVersion] = useState(0); // grows whenever files may have changed
  const [rates, setRates] = useState({ down: [0], up: [0] });
  const [toasts, toast] = useToasts();
  const uploads = useUploads(info.max_file_size);
  const soonFiles = useCalm(() => setVersion((now) => now + 1));
  const latest = useRef(moving);
  latest.current = moving;

  const choose = (id) => {
    history.replaceState(null, "", `#${id}`);
    setTab(id);
  };
  useEffect(() => {
    const follow = () => setTab(tabInAddress());
    addEventListener("hashchange", follow);
    const timer = setInterval(() => setRates(({ down, up }) => ({
      down: [...down.slice(1 - HISTORY), latest.current.down_rate],
      up: [...up.slice(1 - HISTORY), latest.current.up_rate],
    })), 1000);
    return () => {
      removeEventListener("hashchange", follow);
      clearInterval(timer);
    };
  }, []);

  const hear = (message) => {
    if (message.type === "peer_info") setInfo(message.data);
    else if (message.type === "transfers") setMoving(message.data);
    else if (message.type in SAID) {
      toast(SAID[message.type](message.data));
      soonFiles();
    }
  };
  const isLive = useSocket("/ws", hear, soonFiles);
  const about = !info.super_peer ? "without an index" : info.is_registered ? `at ${info.super_peer}` : `not registered: ${info.trouble ?? "the index has not answered yet"}`;

  return html`
    <header class="top">
      <h1>p2pshare node</h1>
      <div class="who wrap"><code>${info.id}</code> <small>${about}</small></div>
      <span class=${`dot ${isLive ? "good" : "bad"}`} id="live">${isLive ? "live" : "reconnecting"}</span>
      <a href="/docs">API</a>
      <${ThemeButton} />
    </header>
    <div class="cards" id="figures">
      <${Card} name="Shared files" value=${count(info.shared_files)} hint=${info.problems ? `${count(info.problems)} cannot be read` : ""} />
      <${Card} name="Shared" value=${amount(info.shared_bytes)} />
      <${Card} name="Down" value=${speed(moving.down_rate)} />
      <${Card} name="Up" value=${speed(moving.up_rate)} />
    </div>
    <${Tabs} label="Parts of this page" tabs=${TABS} chosen=${tab} onChoose=${choose} />
    <${TabPart} id="files" chosen=${tab}><${OwnFiles} info=${info} version=${version} toast=${toast} /><//>
    <${TabPart} id="share" chosen=${tab}><${SharePart} uploads=${uploads} info=${info} /><//>
    <${TabPart} id="search" chosen=${tab}><${SearchPart} info=${info} toast=${toast} /><//>
    <${TabPart} id="transfers" chosen=${tab}><${TransferPart} moving=${moving} toast=${toast} /><//>
    <${TabPart} id="stats" chosen=${tab}><${StatsPart} info=${info} rates=${rates} toast=${toast} /><//>
    <${Toasts} toasts=${toasts} />`;
}

const page = document.getElementById("page");
page.replaceChildren();
render(html`<${NodePage} />`, page);
