// Files: those that were searched for, and those most people fetch.

import { ago, amount, ask, CopyButton, count, html, Panel, useEffect, useRef, useState } from "/static/base.js";

const CATEGORIES = ["document", "image", "video", "audio", "archive", "other"];
const SORTS = [["", "newest"], ["name", "name"], ["size", "largest"], ["downloads", "most fetched"], ["rating", "best rated"]];
const PAGE = 20;
const POPULAR = 12;

/** The magnet link of a file that is in a torrent (BEP 9). */
const magnet = (file) => `magnet:?xt=urn:btih:${file.info_hash}&dn=${encodeURIComponent(file.filename)}&tr=${encodeURIComponent(`${location.origin}/announce`)}`;

const Links = ({ file, toast }) => html`
  <div class="links">
    <a href=${`/download/${encodeURIComponent(file.id)}`}>Download</a>
    ${file.info_hash && html`
      <a href=${`/api/tracker/torrents/${file.info_hash}/download`}>Torrent</a>
      <a href=${magnet(file)}>Magnet</a>
      <${CopyButton} text=${magnet(file)} name="Copy magnet" onDone=${toast} />`}
  </div>`;

/** What fits the words of the search box, the category and the order chosen. */
export function FilePanel({ words, version, toast }) {
  const [category, setCategory] = useState("");
  const [sort, setSort] = useState("");
  const [limit, setLimit] = useState(PAGE);
  const [reply, setReply] = useState({ results: [], count: 0, total: 0 });
  const asked = useRef(0);
  useEffect(() => setLimit(PAGE), [words, category, sort]);
  useEffect(() => {
    const mine = (asked.current += 1);
    const query = new URLSearchParams({ q: words, category, sort, limit });
    const timer = setTimeout(() => {
      ask(`/api/v1/files/search?${query}`).then(
        (found) => mine === asked.current && setReply(found), // an older question may be answered later
        (error) => toast(`search: ${error.message}`, "bad"),
      );
    }, 120);
    return () => clearTimeout(timer);
  }, [words, category, sort, limit, version]);

  const total = reply.total ?? reply.count;
  const controls = html`
    <label class="hidden" for="category">Category</label>
    <select id="category" value=${category} onChange=${(event) => setCategory(event.target.value)}>
      <option value="">all categories</option>
      ${CATEGORIES.map((name) => html`<option value=${name}>${name}</option>`)}
    </select>
    <label class="hidden" for="sort">Order</label>
    <select id="sort" value=${sort} onChange=${(event) => setSort(event.target.value)}>
      ${SORTS.map(([value, name]) => html`<option value=${value}>${name}</option>`)}
    </select>`;
  return html`
    <${Panel} title=${words || category ? `Found: ${count(total)}` : "Files"} id="files" controls=${controls}>
      ${reply.results.length === 0 && html`<p class="quiet">${words || category ? "Nothing fits." : "Nothing is shared yet."}</p>`}
      <ul class="plain rows" aria-label="Files">
        ${reply.results.map((file) => html`
          <li key=${file.id}>
            <div class="main">
              <div class="wrap">${file.filename}</div>
              <small>${amount(file.size)} · ${file.category || "other"} · ${ago(file.upload_time)} · fetched ${count(file.downloads)} ×</small>
              ${" "}${file.tags.map((tag) => html`<span class="tag">${tag}</span> `)}
              <${Links} file=${file} toast=${toast} />
            </div>
          </li>`)}
      </ul>
      ${total > reply.results.length && html`
        <div class="more"><button type="button" onClick=${() => setLimit(limit + PAGE)}>Show more</button>
          <small>${count(reply.results.length)} of ${count(total)}</small></div>`}
    <//>`;
}

/** The most fetched contents, each once, however many share it. */
export function PopularPanel({ version, toast }) {
  const [files, setFiles] = useState([]);
  useEffect(() => {
    ask("/api/v1/files/search?sort=downloads&limit=100").then((found) => {
      const once = new Map();
      for (const file of found.results) if (!once.has(file.hash)) once.set(file.hash, file);
      setFiles([...once.values()].slice(0, POPULAR));
    }, (error) => toast(`popular files: ${error.message}`, "bad"));
  }, [version]);
  return html`
    <${Panel} title="Popular files" id="popular">
      <ul class="plain popular">
        ${files.map((file) => html`
          <li key=${file.hash}><div class="wrap">${file.filename}</div>
            <small>${amount(file.size)} · fetched ${count(file.downloads)} ×</small></li>`)}
      </ul>
    <//>`;
}
