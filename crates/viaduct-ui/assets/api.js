// The API browser: reads the server's OpenAPI document and lists its operations by tag.
(function () {
  "use strict";
  const METHODS = ["get", "post", "put", "patch", "delete"];

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    made.append(...children.filter(function (child) { return child !== null; }));
    return made;
  }

  function operations(document) {
    const found = [];
    for (const [path, item] of Object.entries(document.paths || {})) {
      for (const method of METHODS) {
        if (!item[method]) continue;
        const tag = (item[method].tags || ["other"])[0];
        found.push({ path, method, tag, shared: item.parameters || [], ...item[method] });
      }
    }
    return found;
  }

  // Follows a reference inside the document; a foreign or broken one stays as it is.
  function resolve(document, value) {
    const reference = value && value.$ref;
    if (typeof reference !== "string" || !reference.startsWith("#/")) return value;
    const found = reference.slice(2).split("/").reduce(function (at, key) {
      return at && at[key.replaceAll("~1", "/").replaceAll("~0", "~")];
    }, document);
    return found || value;
  }

  function typeOf(schema) {
    if (!schema) return "";
    if (schema.$ref) return schema.$ref.split("/").pop();
    if (schema.type === "array") return "list of " + (typeOf(schema.items) || "anything");
    const type = Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type;
    return type || (schema.oneOf || schema.anyOf ? "one of several" : "");
  }

  function rows(title, list) {
    if (list.length === 0) return null;
    const body = element("tbody");
    for (const [name, type, text] of list) {
      body.append(element("tr", null, element("td", { class: "mono nowrap" }, name),
        element("td", { class: "muted nowrap" }, type), element("td", null, text)));
    }
    return element("div", null, element("h3", null, title),
      element("table", { class: "table compact" }, body));
  }

  function parametersOf(document, operation) {
    return [...operation.shared, ...(operation.parameters || [])].map(function (given) {
      const parameter = resolve(document, given);
      const place = (parameter.in || "") + (parameter.required ? ", required" : "");
      return [parameter.name || "", place, parameter.description || typeOf(parameter.schema)];
    });
  }

  function bodyOf(document, operation) {
    const content = (resolve(document, operation.requestBody) || {}).content || {};
    return Object.entries(content).flatMap(function ([media, value]) {
      const schema = resolve(document, value.schema) || {};
      const required = schema.required || [];
      const fields = Object.entries(schema.properties || {}).map(function ([name, field]) {
        const type = typeOf(field) + (required.includes(name) ? ", required" : "");
        return [name, type, (resolve(document, field) || {}).description || ""];
      });
      return fields.length > 0 ? fields : [[media, typeOf(value.schema), schema.description || ""]];
    });
  }

  function answersOf(document, operation) {
    return Object.entries(operation.responses || {}).map(function ([status, given]) {
      const answer = resolve(document, given);
      const media = Object.keys(answer.content || {}).join(", ");
      return [status, media, answer.description || ""];
    });
  }

  function detailsOf(document, operation) {
    const inside = element("div", { class: "api-body" });
    const curl = "curl -X " + operation.method.toUpperCase() + " " + location.origin + operation.path;
    const code = element("span", { class: "code" }, element("code", null, curl),
      element("button", { type: "button", class: "copy js-only", "data-copy": "" }, element("span", null, "Copy")));
    const parts = [
      operation.description ? element("p", null, operation.description) : null,
      element("p", null, code),
      rows("Parameters", parametersOf(document, operation)),
      rows("Body", bodyOf(document, operation)),
      rows("Answers", answersOf(document, operation)),
    ];
    inside.append(...parts.filter(function (part) { return part !== null; }));
    return inside;
  }

  function row(document, operation) {
    const line = element("summary", null,
      element("span", { class: "api-method " + operation.method }, operation.method.toUpperCase()),
      element("code", null, operation.path),
      element("span", { class: "muted" }, operation.summary || operation.operationId || ""));
    const details = element("details", { class: "api-op", id: operation.operationId || "" }, line);
    details.dataset.words = [operation.method, operation.path, operation.summary,
      operation.operationId, operation.tag].join(" ").toLowerCase();
    // Why on opening: a hundred operations with their tables would slow the first paint.
    details.addEventListener("toggle", function () {
      if (details.open && details.children.length === 1) details.append(detailsOf(document, operation));
    });
    return details;
  }

  function show(place, document) {
    const all = operations(document);
    const tags = [...new Set(all.map(function (operation) { return operation.tag; }))];
    const input = element("input", { type: "search", placeholder: "Filter " + all.length + " operations",
      "aria-label": "Filter operations", spellcheck: "false" });
    const sections = tags.map(function (tag) {
      const section = element("section", { class: "api-tag panel" }, element("h2", null, tag));
      for (const operation of all) {
        if (operation.tag === tag) section.append(row(document, operation));
      }
      return section;
    });
    input.addEventListener("input", function () {
      const words = input.value.toLowerCase().split(/\s+/);
      for (const section of sections) {
        let shown = 0;
        for (const details of section.querySelectorAll("details")) {
          details.hidden = !words.every(function (word) { return details.dataset.words.includes(word); });
          if (!details.hidden) shown += 1;
        }
        section.hidden = shown === 0;
      }
    });
    place.replaceChildren(element("div", { class: "api-filter" }, input), ...sections);
    const target = location.hash && window.document.getElementById(location.hash.slice(1));
    if (target) { target.open = true; target.scrollIntoView(); }
  }

  async function load() {
    const place = document.getElementById("api");
    if (!place) return;
    place.replaceChildren(element("p", { class: "no-data" }, "Reading the document…"));
    try {
      const answer = await fetch(place.dataset.source);
      if (!answer.ok) throw new Error("the server answered " + answer.status);
      show(place, await answer.json());
    } catch (error) {
      place.replaceChildren(element("p", { class: "no-data" }, "The document could not be read: " + error.message));
    }
  }

  load();
})();
