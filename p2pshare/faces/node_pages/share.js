// Share: files dropped here are stored in the shared folder of this node.

import { amount, html, Panel, send, useRef, useState } from "/static/base.js";

const KEPT = 50; // uploads that are listed

/** Uploads of this page, one after the other: [uploads, take(files)]. They go on whatever part of it is shown. */
export function useUploads(largest) {
  const [uploads, setUploads] = useState([]);
  const queue = useRef(Promise.resolve());

  const note = (id, change) => setUploads((all) => all.map((one) => (one.id === id ? { ...one, ...change } : one)));
  const upload = async (id, file) => {
    try {
      note(id, { state: "sending" });
      const shared = await send("/api/v1/files/share", file, (part) => note(id, { part, state: part < 1 ? "sending" : "reading" }));
      note(id, { state: "done", part: 1, text: shared.filename === file.name ? shared.message : `${shared.message}, as ${shared.filename}` });
    } catch (error) {
      const text = error.status === 401 ? "this needs the token: open the address the node printed when it started" : error.message;
      note(id, { state: "failed", text });
    }
  };
  const take = (files) => {
    for (const file of files) {
      const id = Math.random();
      const isTooLarge = file.size > largest;
      const fresh = { id, name: file.name, size: file.size, part: 0, state: isTooLarge ? "failed" : "waiting", text: isTooLarge ? `too large: at most ${amount(largest)}` : "" };
      setUploads((all) => [fresh, ...all].slice(0, KEPT));
      if (!isTooLarge) queue.current = queue.current.then(() => upload(id, file));
    }
  };
  return [uploads, take];
}

const SHOWN = { waiting: () => "waits", sending: ({ part }) => `${Math.round(part * 100)} %`, reading: () => "is being read", done: ({ text }) => text, failed: ({ text }) => text };

/** A place to drop files, and what became of them. */
export function SharePart({ uploads: [uploads, take], info }) {
  const [over, setOver] = useState(false);
  const input = useRef(null);
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    take([...event.dataTransfer.files]);
  };
  return html`
    <${Panel} title="Share files" id="share">
      <div class=${`drop ${over ? "over" : ""}`} onDragOver=${(event) => { event.preventDefault(); setOver(true); }}
        onDragLeave=${() => setOver(false)} onDrop=${drop}>
        <p>Drop files here, or</p>
        <button type="button" class="primary" onClick=${() => input.current.click()}>choose some</button>
        <input ref=${input} id="file" type="file" multiple class="hidden" tabindex="-1" aria-label="Files to share"
          onChange=${(event) => { take([...event.target.files]); event.target.value = ""; }} />
        ${Number.isFinite(info.max_file_size) && html`<p><small>At most ${amount(info.max_file_size)} each; larger ones can be put into the shared folder.</small></p>`}
      </div>
      <ul class="plain rows" aria-label="Uploads">
        ${uploads.map((one) => html`
          <li key=${one.id}>
            <div class="main">
              <div class="wrap">${one.name} <small>${amount(one.size)}</small></div>
              ${one.state !== "failed" && one.state !== "done" && html`<progress max="1" value=${one.part} aria-label=${`Sharing ${one.name}`}></progress>`}
              <small class=${`wrap ${{ failed: "bad", done: "good" }[one.state] ?? ""}`}>${SHOWN[one.state](one)}</small>
            </div>
          </li>`)}
      </ul>
    <//>`;
}
