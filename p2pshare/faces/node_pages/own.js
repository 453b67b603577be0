// The files of this node: a closer look at each, links to pass on, and a way to share it no more.

import { ago, amount, ask, CopyButton, count, Dialog, html, Panel, useEffect, useRef, useState } from "/static/base.js";

const PAGE = 50;

/** Where others fetch a file: by the address they know, or else by the one in front of us. */
export const linkTo = (file, info) => `${info.address ? `http://${info.address}` : location.origin}/download?filename=${encodeURIComponent(file.filename)}`;

/** The magnet link of a file that is a torrent (BEP 9). */
export const magnetOf = (file, trackers) => `magnet:?xt=urn:btih:${file.info_hash}&dn=${encodeURIComponent(file.filename)}${trackers.map((url) => `&tr=${encodeURIComponent(url)}`).join("")}`;

const Copied = ({ name, text, toast }) => html`
  <div class="copied"><input readonly value=${text} aria-label=${name} onFocus=${(event) => event.target.select()} />
    <${CopyButton} text=${text} name=${`Copy ${name.toLowerCase()}`} onDone=${toast} /></div>`;

function About({ file, info, toast, onClose }) {
  const list = useRef(null);
  const close = () => list.current.closest("dialog").close();
  return html`
    <${Dialog} title=${file.filename} onClose=${onClose}>
      <dl class="facts" ref=${list}>
        <dt>Size</dt><dd>${amount(file.size)} (${count(file.size)} bytes)</dd>
        <dt>Category</dt><dd>${file.category}</dd>
        <dt>Tags</dt><dd>${file.tags.join(", ") || "none"}</dd>
        <dt>Shared</dt><dd>${new Date(file.shared_at).toLocaleString()}</dd>
        <dt>Fetched</dt><dd>${count(file.downloads)} ×</dd>
        <dt>SHA-256</dt><dd><code>${file.hash}</code></dd>
        <dt>Id</dt><dd><code>${file.id}</code></dd>
        ${file.index_id && html`<dt>At the index</dt><dd><code>${file.index_id}</code></dd>`}
        ${file.info_hash && html`<dt>Info hash</dt><dd><code>${file.info_hash}</code></dd>`}
        <dt>Link</dt><dd><${Copied} name="Link" text=${linkTo(file, info)} toast=${toast} /></dd>
        ${file.info_hash && html`<dt>Magnet</dt><dd><${Copied} name="Magnet" text=${magnetOf(file, info.trackers)} toast=${toast} /></dd>`}
      </dl>
      <div class="actions"><button type="button" onClick=${close}>Close</button></div>
    <//>`;
}

function Unsharing({ file, toast, onClose }) {
  const [isDeleting, setDeleting] = useState(false);
  const row = useRef(null);
  const close = () => row.current.closest("dialog").close();
  const unshare = async () => {
    try {
      await ask(`/api/v1/files/unshare/${encodeURIComponent(file.id)}${isDeleting ? "?delete=true" : ""}`, { method: "DELETE" });
    } catch (error) {
      toast(`${file.filename}: ${error.message}`, "bad");
    }
    close();
  };
  return html`
    <${Dialog} title=${`Share ${file.filename} no more?`} onClose=${onClose}>
      <p>Nobody will find it here any more. Who fetches it right now gets the rest of it.</p>
      <label><input type="checkbox" checked=${isDeleting} onChange=${(event) => setDeleting(event.target.checked)} /> Delete it from the disk, too</label>
      <div class="actions" ref=${row}>
        <button type="button" onClick=${close}>Keep sharing</button>
        <button type="button" class="danger" onClick=${unshare}>${isDeleting ? "Unshare and delete" : "Unshare"}</button>
      </div>
    <//>`;
}

/** What is shared from here, searched by the words typed. */
export function OwnFiles({ info, version, toast }) {
  const [words, setWords] = useState("");
  const [limit, setLimit] = useState(PAGE);
  const [reply, setReply] = useState(null);
  const [shown, setShown] = useState(null);
  const [leaving, setLeaving] = useState(null);
  const asked = useRef(0);
  useEffect(() => {
    const mine = (asked.current += 1);
    const timer = setTimeout(() => {
      ask(`/api/v1/search?${new URLSearchParams({ scope: "local", q: words, limit })}`).then(
        (found) => mine === asked.current && setReply(found), // an older question may be answered later
        (error) => toast(`files: ${error.message}`, "bad"),
      );
    }, words ? 120 : 0);
    return () => clearTimeout(timer);
  }, [words, limit, version]);

  const files = reply?.results ?? [];
  const controls = html`<label class="hidden" for="own-words">Search these files</label>
    <input id="own-words" type="search" class="narrow" placeholder="Search these files" maxlength="500" value=${words}
      onInput=${(event) => { setWords(event.target.value); setLimit(PAGE); }} />`;
  return html`
    <${Panel} title=${words ? `Found: ${count(reply?.total ?? 0)}` : "Files shared from here"} id="own-files" controls=${controls}>
      ${reply && files.length === 0 && html`<p class="quiet">${words ? "Nothing fits." : "Nothing is shared yet. Put files into the shared folder, or drop them on Share."}</p>`}
      <ul class="plain rows" aria-label="Shared files">
        ${files.map((file) => html`
          <li key=${file.id}>
            <div class="main">
              <div class="wrap">${file.filename}</div>
              <small>${amount(file.size)} · ${file.category} · ${ago(file.shared_at)} · fetched ${count(file.downloads)} ×</small>
              ${" "}${file.tags.map((tag) => html`<span class="tag">${tag}</span> `)}
              <div class="links">
                <a href=${`/download/${encodeURIComponent(file.id)}`}>Download</a>
                <button type="button" class="link" onClick=${() => setShown(file)}>Info</button>
                <button type="button" class="link" onClick=${() => setLeaving(file)}>Unshare</button>
              </div>
            </div>
          </li>`)}
      </ul>
      ${reply && reply.total > files.length && html`
        <div class="more"><button type="button" onClick=${() => setLimit(limit + PAGE)}>Show more</button>
          <small>${count(files.length)} of ${count(reply.total)}</small></div>`}
    <//>
    ${shown && html`<${About} file=${shown} info=${info} toast=${toast} onClose=${() => setShown(null)} />`}
    ${leaving && html`<${Unsharing} file=${leaving} toast=${toast} onClose=${() => setLeaving(null)} />`}`;
}
