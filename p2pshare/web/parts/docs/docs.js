// Shows an OpenAPI document, and lets one try what it describes. Text only ever becomes text: never markup.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const pretty = (value) => JSON.stringify(value, null, 2);

function named(reference) {
  return decodeURIComponent(reference.slice(reference.lastIndexOf("/") + 1));
}

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return named(schema.$ref);
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items) || "anything"}`;
  const limits = Object.entries(schema)
    .filter(([name]) => /^(min|max|exclusive|pattern|multipleOf|format|default)/.test(name))
    .map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return [schema.type || "anything", ...limits].join(", ");
}

// A value that fits a schema, to begin with. `seen` ends types that hold themselves.
function example(schema, components, seen = []) {
  if (!schema) return null;
  if (schema.$ref) {
    const name = named(schema.$ref);
    return seen.includes(name) ? null : example(components[name], components, [...seen, name]);
  }
  if ("default" in schema) return schema.default;
  if (schema.anyOf) return example(schema.anyOf[0], components, seen);
  if (schema.enum) return schema.enum[0];
  switch (schema.type) {
    case "object":
      return Object.fromEntries(
        Object.entries(schema.properties || {}).map(([name, inner]) => [name, example(inner, components, seen)]),
      );
    case "array": return [];
    case "integer": case "number": return schema.minimum ?? 0;
    case "boolean": return false;
    default: return "";
  }
}

function row(...cells) {
  return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
}

function bodyOf(operation) {
  const content = operation.requestBody?.content;
  if (!content) return null;
  const [type] = Object.keys(content);
  return { type, schema: content[type].schema };
}

function parameterRow(parameter, inputs) {
  const input = element("input", { "aria-label": parameter.name, "data-name": parameter.name });
  if (parameter.required) input.required = true;
  inputs.push({ parameter, input });
  const about = `${parameter.in}${parameter.required ? ", required" : ""}`;
  return row(element("code", {}, parameter.name), about, typeOf(parameter.schema), input);
}

function bodyField(body, components) {
  if (!body) return null;
  if (body.type === "multipart/form-data") {
    const [name] = Object.keys(body.schema.properties);
    return element("input", { type: "file", "aria-label": name, "data-file": name });
  }
  if (body.schema.contentMediaType) return element("input", { type: "file", "aria-label": "body" });
  const area = element("textarea", { "aria-label": "body", spellcheck: "false" });
  area.value = pretty(example(body.schema, components));
  return area;
}

function request(path, method, inputs, body, field) {
  const query = new URLSearchParams();
  const headers = {};
  let target = path;
  for (const { parameter, input } of inputs) {
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value === "" && !parameter.required) continue;
    else if (parameter.in === "query") {
      const values = parameter.schema.type === "array" ? input.value.split(",") : [input.value];
      for (const value of values) query.append(parameter.name, value);
    }
    else headers[parameter.name] = input.value;
  }
  const token = document.getElementById("token").value;
  if (token) headers.Authorization = `Bearer ${token}`;
  const options = { method: method.toUpperCase(), headers, redirect: "manual" };
  if (field) {
    if (field.dataset.file) {
      options.body = new FormData();
      if (field.files[0]) options.body.append(field.dataset.file, field.files[0]);
    } else {
      headers["Content-Type"] = body.type;
      options.body = field.type === "file" ? field.files[0] : field.value;
    }
  }
  return [query.size ? `${target}?${query}` : target, options];
}

async function shown(response) {
  if (response.type === "opaqueredirect") return "A redirect: open the address in a tab of its own to follow it.";
  const lines = [`${response.status} ${response.statusText}`];
  response.headers.forEach((value, name) => lines.push(`${name}: ${value}`));
  const text = await response.text();
  let content = text.length > 100000 ? `${text.slice(0, 100000)} …` : text;
  try { content = pretty(JSON.parse(text)); } catch { /* not JSON: as it came */ }
  return `${lines.join("\n")}\n\n${content}`;
}

function trial(path, method, operation, components) {
  const inputs = [];
  const parameters = operation.parameters || [];
  const body = bodyOf(operation);
  const field = bodyField(body, components);
  const output = element("pre", { hidden: "", "data-role": "answer" });
  const form = element("form", {},
    parameters.length ? element("table", {}, ...parameters.map((one) => parameterRow(one, inputs))) : null,
    body ? element("p", {}, `Body: ${body.type}, ${typeOf(body.schema)}`) : null,
    field,
    element("p", {}, element("button", {}, "Try it")),
    output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    output.hidden = false;
    output.textContent = "…";
    const [target, options] = request(path, method, inputs, body, field);
    try {
      output.textContent = `${options.method} ${target}\n\n${await shown(await fetch(target, options))}`;
    } catch (error) {
      output.textContent = String(error);
    }
  });
  return form;
}

function answers(operation) {
  const rows = Object.entries(operation.responses).map(([status, response]) => {
    const content = Object.entries(response.content || {});
    const types = content.map(([type, { schema }]) => `${type}: ${typeOf(schema)}`).join("; ");
    return row(element("code", {}, status), response.description, types);
  });
  return element("table", {}, ...rows);
}

function routeBox(path, method, operation, components) {
  const box = element("details", { "data-words": `${method} ${path} ${operation.summary || ""}`.toLowerCase() },
    element("summary", {},
      element("span", { class: `method ${method}` }, method.toUpperCase()),
      element("span", { class: "path" }, path),
      element("span", {}, operation.summary || ""),
      operation.security ? element("span", { class: "key" }, "needs the token") : null));
  // Filled when it is opened: a page of a hundred forms is slow.
  box.addEventListener("toggle", () => {
    if (!box.open || box.querySelector("div")) return;
    box.append(element("div", {},
      element("p", {}, operation.description || ""),
      trial(path, method, operation, components),
      answers(operation)));
  });
  return box;
}

function show(api) {
  document.title = api.info.title;
  document.getElementById("title").textContent = `${api.info.title} ${api.info.version}`;
  document.getElementById("about").textContent = api.info.description || "";
  const components = api.components?.schemas || {};
  const groups = new Map();
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const group = operation.tags?.[0] || "";
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(routeBox(path, method, operation, components));
    }
  }
  const main = document.getElementById("routes");
  main.replaceChildren();
  for (const [group, boxes] of groups) {
    main.append(element("section", {}, group ? element("h2", {}, group) : null, ...boxes));
  }
  document.getElementById("schemas").replaceChildren(
    ...Object.entries(components).map(([name, schema]) =>
      element("details", {}, element("summary", {}, element("code", {}, name)),
        element("div", {}, element("pre", {}, pretty(schema))))));
}

document.getElementById("filter").addEventListener("input", ({ target }) => {
  const words = target.value.toLowerCase().split(/\s+/);
  for (const box of document.querySelectorAll("[data-words]")) {
    box.hidden = !words.every((word) => box.dataset.words.includes(word));
  }
});

try {
  const response = await fetch(document.body.dataset.document);
  if (!response.ok) throw new Error(`${document.body.dataset.document}: ${response.status} ${response.statusText}`);
  show(await response.json());
} catch (error) {
  document.getElementById("routes").replaceChildren(element("p", { class: "bad" }, String(error)));
}
