// Upload: a file dropped here becomes a torrent that this service seeds.

import { html, Panel, send, useRef, useState } from "/static/base.js";

/** A place to drop files, one after the other. */
export function UploadPanel({ toast, onDone }) {
  const [over, setOver] = useState(false);
  const [doing, setDoing] = useState(null); // { name, part }
  const queue = useRef(Promise.resolve());
  const input = useRef(null);

  const upload = async (file) => {
    setDoing({ name: file.name, part: 0 });
    try {
      const torrent = await send("/api/tracker/upload", file, (part) => setDoing({ name: file.name, part }));
      toast(`${torrent.name} is here for everybody`);
      onDone();
    } catch (error) {
      const text = error.status === 401 ? "this needs the token: open the address the service printed when it started" : error.message;
      toast(`${file.name}: ${text}`, "bad");
    }
    setDoing(null);
  };
  const take = (files) => {
    for (const file of files) queue.current = queue.current.then(() => upload(file));
  };
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    take([...event.dataTransfer.files]);
  };
  return html`
    <${Panel} title="Share a file" id="upload">
      <div class=${`drop ${over ? "over" : ""}`} onDragOver=${(event) => { event.preventDefault(); setOver(true); }}
        onDragLeave=${() => setOver(false)} onDrop=${drop}>
        <p>Drop files here, or</p>
        <button type="button" class="primary" onClick=${() => input.current.click()}>choose some</button>
        <input ref=${input} id="file" type="file" multiple class="hidden" tabindex="-1" aria-label="Files to share"
          onChange=${(event) => { take([...event.target.files]); event.target.value = ""; }} />
        ${doing && html`
          <p class="wrap"><small>${doing.name}: ${Math.round(doing.part * 100)} %</small>
            <progress max="1" value=${doing.part} aria-label=${`Uploading ${doing.name}`}></progress></p>`}
      </div>
    <//>`;
}
