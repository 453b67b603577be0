// Search: in the whole index, with everything that other nodes share.

import { ago, amount, ask, CopyButton, count, html, Panel, useEffect, useRef, useState } from "/static/base.js";
import { magnetOf } from "/static/own.js";

const CATEGORIES = ["document", "image", "video", "audio", "archive", "other"];
const SORTS = [["", "newest"], ["name", "name"], ["size", "largest"], ["downloads", "most fetched"], ["rating", "best rated"]];
const PAGE = 20;

/** The index knows who has a file and sends there; what this node has, it gives itself. */
const placeOf = (file, info) => `${info.super_peer && file.owner !== info.id ? info.super_peer : ""}/download/${encodeURIComponent(file.id)}`;

const about = (file) => [
  amount(file.size), file.category || "other", file.upload_time && ago(file.upload_time), `fetched ${count(file.downloads ?? 0)} ×`,
  file.rating > 0 && `rated ${file.rating.toFixed(1)}`,
].filter(Boolean).join(" · ");

/** What fits the words, the category and the order chosen. */
export function SearchPart({ info, toast }) {
  const [words, setWords] = useState("");
  const [category, setCategory] = useState("");
  const [sort, setSort] = useState("");
  const [limit, setLimit] = useState(PAGE);
  const [reply, setReply] = useState(null);
  const [trouble, setTrouble] = useState("");
  const asked = useRef(0);
  useEffect(() => {
    const mine = (asked.current += 1);
    const timer = setTimeout(() => {
      ask(`/api/v1/search?${new URLSearchParams({ q: words, category, sort, limit })}`).then((found) => {
        if (mine !== asked.current) return; // an older question may be answered later
        setReply(found);
        setTrouble("");
      }, (error) => mine === asked.current && setTrouble(error.message));
    }, 150);
    return () => clearTimeout(timer);
  }, [words, category, sort, limit]);

  const files = reply?.results ?? [];
  const change = (set) => (event) => {
    set(event.target.value);
    setLimit(PAGE);
  };
  return html`
    <${Panel} title=${reply && words ? `Found: ${count(reply.total)}` : info.super_peer ? "Search the whole index" : "Search"} id="found">
      <form class="asking" role="search" onSubmit=${(event) => event.preventDefault()}>
        <label class="hidden" for="words">Search files</label>
        <input id="words" type="search" placeholder="Search names, categories and tags" maxlength="500" value=${words} onInput=${change(setWords)} />
        <label class="hidden" for="category">Category</label>
        <select id="category" value=${category} onChange=${change(setCategory)}>
          <option value="">all categories</option>
          ${CATEGORIES.map((name) => html`<option value=${name}>${name}</option>`)}
        </select>
        <label class="hidden" for="sort">Order</label>
        <select id="sort" value=${sort} onChange=${change(setSort)}>
          ${SORTS.map(([value, name]) => html`<option value=${value}>${name}</option>`)}
        </select>
      </form>
      ${trouble && html`<p class="bad" role="alert">${trouble}. ${info.trouble ?? ""}</p>`}
      ${reply && !trouble && files.length === 0 && html`<p class="quiet">Nothing fits.</p>`}
      <ul class="plain rows" aria-label="Files found">
        ${files.map((file) => html`
          <li key=${file.id}>
            <div class="main">
              <div class="wrap">${file.filename}</div>
              <small class="wrap">${about(file)}</small>
              ${" "}${file.owner === info.id && html`<span class="tag">yours</span> `}
              ${(file.tags ?? []).map((tag) => html`<span class="tag">${tag}</span> `)}
              ${file.info_hash && html`<div class="links"><a href=${magnetOf(file, info.trackers)}>Magnet</a>
                <${CopyButton} text=${magnetOf(file, info.trackers)} name="Copy magnet" onDone=${toast} /></div>`}
            </div>
            <a class="button" href=${placeOf(file, info)} aria-label=${`Download ${file.filename}`}>Download</a>
          </li>`)}
      </ul>
      ${reply && reply.total > files.length && html`
        <div class="more"><button type="button" onClick=${() => setLimit(limit + PAGE)}>Show more</button>
          <small>${count(files.length)} of ${count(reply.total)}</small></div>`}
    <//>`;
}
