/* Handoff Desk chat widget. One tag on any page:
 *   <script src="https://YOUR-DESK/widget.js" defer></script>
 * Options, all as attributes of the tag: data-title, data-welcome, data-suggestions (separated
 * by |), data-accent (a colour such as #1f5c43). An element with data-handoff-ask="…" asks that
 * when it is clicked, one with data-handoff-open opens the chat; in scripts: HandoffDesk.ask(text).
 * Text of messages only ever becomes text nodes, never markup.
 */
(() => {
  "use strict";
  if (window.HandoffDesk) return;

  const tag = document.currentScript;
  const BASE = new URL(".", tag.src);
  const OPTIONS = {
    title: tag.dataset.title || "Shop assistant",
    welcome:
      tag.dataset.welcome || "Hello! Ask me about orders, deliveries, refunds or your account.",
    suggestions: (tag.dataset.suggestions || "").split("|").map((s) => s.trim()).filter(Boolean),
    accent: /^#[0-9a-f]{6}$/i.test(tag.dataset.accent || "") ? tag.dataset.accent : "#1f5c43",
  };
  const LIMIT = 5000; // characters (code points), as in handoff/core/limits.py
  const COUNT_FROM = 4500;
  const POST_MS = 15000;
  const GROUP_MS = 120000; // lines of one author closer than this stand together

  // ---------------------------------------------------------------- small helpers
  function el(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") node.className = value;
      else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }

  function icon(path, size = 20) {
    const ns = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(ns, "svg");
    const line = document.createElementNS(ns, "path");
    for (const [k, v] of Object.entries({
      viewBox: "0 0 24 24", width: size, height: size, fill: "none", stroke: "currentColor",
      "stroke-width": 1.9, "stroke-linecap": "round", "stroke-linejoin": "round",
      "aria-hidden": "true", focusable: "false",
    })) svg.setAttribute(k, v);
    line.setAttribute("d", path);
    svg.append(line);
    return svg;
  }

  const ICONS = {
    chat: "M4 5.5h16v11H11l-4.5 3.5v-3.5H4z M8.5 9.5h7 M8.5 12.7h4.5",
    close: "M6 6l12 12 M18 6L6 18",
    send: "M12 19V5.5 M6 11l6-6 6 6",
    fresh: "M12 5v14 M5 12h14",
    fold: "M6 9.5l6 6 6-6",
    down: "M6 9.5l6 6 6-6",
    leaf: "M5 19c0-8 4.5-13.5 14-14 .6 9.5-4.5 14-11.5 13.2 M5 19c1.6-4.4 4-7 8-9",
  };

  /* Storage may be forbidden; then the conversation lasts as long as the page. */
  function storage(kind) {
    try {
      const found = window[kind];
      found.setItem("handoff-desk:try", "1");
      found.removeItem("handoff-desk:try");
      return found;
    } catch {
      const kept = new Map();
      return {
        getItem: (k) => kept.get(k) ?? null,
        setItem: (k, v) => kept.set(k, v),
        removeItem: (k) => kept.delete(k),
      };
    }
  }
  const lasting = storage("localStorage");
  const ofThisTab = storage("sessionStorage");
  const KEY = `handoff-desk:${BASE.href}`;

  const newId = () =>
    [...crypto.getRandomValues(new Uint8Array(16))]
      .map((b) => b.toString(16).padStart(2, "0")).join("");
  const length = (text) => [...text].length;
  const clock = (at) =>
    new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

  /* White or dark letters, whichever can be read on the accent colour (WCAG luminance). */
  function readableOn(colour) {
    const [r, g, b] = [1, 3, 5].map((i) => {
      const c = parseInt(colour.slice(i, i + 2), 16) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#14241c" : "#ffffff";
  }

  /* Text with its http(s) addresses as links: text nodes and anchors, nothing else. */
  function linked(text) {
    const parts = [];
    let from = 0;
    for (const match of text.matchAll(/https?:\/\/[^\s<>"'`]+/g)) {
      const address = match[0].replace(/[.,;:!?)\]}]+$/, "");
      if (!URL.canParse(address)) continue;
      parts.push(text.slice(from, match.index));
      const anchor = el("a", {
        href: address, target: "_blank", rel: "noopener noreferrer nofollow",
      });
      anchor.textContent = address;
      parts.push(anchor);
      from = match.index + address.length;
    }
    parts.push(text.slice(from));
    return parts;
  }

  // ---------------------------------------------------------------- state
  let session = lasting.getItem(KEY);
  let lastSeq = 0;
  let owner = { state: "bot", person: "", typing: false };
  let previous = null; // the last line shown: {author, name, at, row}
  let unread = 0;
  let outbox = []; // messages not confirmed yet: {id, text, label, state, error, node}
  let flushing = false;
  let source = null;
  let retryTimer = 0;
  let downTimer = 0;
  let failures = 0;
  let generation = 0; // grows with every new session; what belongs to an older one is dropped

  // ---------------------------------------------------------------- the elements
  const host = el("div", { id: "handoff-desk" });
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  root.adoptedStyleSheets = [sheet];

  const title = el("div", { class: "title" });
  const subtitle = el("div", { class: "subtitle" });
  const face = el("div", { class: "face", "aria-hidden": "true" });
  const list = el("div", { class: "lines" });
  const waiting = el("div", { class: "lines waiting" });
  const typing = el("div", { class: "row bot typing", hidden: "" },
    el("div", { class: "avatar", "aria-hidden": "true" }, icon(ICONS.leaf, 16)),
    el("div", { class: "bubble" },
      el("span", { class: "hidden" }, "The assistant is writing"),
      el("i"), el("i"), el("i")));
  const welcome = el("div", { class: "welcome" });
  const log = el("div", {
    class: "log", role: "log", "aria-live": "polite", "aria-label": "Conversation", tabindex: "0",
  }, welcome, list, waiting, typing);
  const jump = el("button", {
    class: "jump", type: "button", hidden: "", onclick: () => toBottom(true),
  }, icon(ICONS.down, 16), "New messages");
  const banner = el("div", { class: "banner", role: "status", hidden: "" });
  const input = el("textarea", {
    id: "text", rows: "1", placeholder: "Write a message…", autocomplete: "off",
    enterkeyhint: "send", "aria-describedby": "hint",
  });
  const sendButton = el("button", {
    class: "send", type: "submit", "aria-label": "Send message", disabled: "",
  }, icon(ICONS.send));
  const hint = el("div", { class: "hint", id: "hint", role: "status" });
  const form = el("form", { class: "composer" },
    el("label", { class: "hidden", for: "text" }, "Your message"), input, sendButton);
  const confirmBar = el("div", { class: "confirm", hidden: "", role: "group",
    "aria-label": "Start a new conversation?" });
  const freshButton = el("button", {
    class: "tool", type: "button", "aria-label": "New conversation", title: "New conversation",
    onclick: askForFresh,
  }, icon(ICONS.fresh));
  const panel = el("section", {
    class: "panel", id: "panel", role: "dialog", "aria-label": "Chat with us", hidden: "",
  },
    el("header", {}, face, el("div", { class: "who" }, title, subtitle), freshButton,
      el("button", {
        class: "tool", type: "button", "aria-label": "Close chat", title: "Close (Esc)",
        onclick: close,
      }, icon(ICONS.close))),
    confirmBar, banner, el("div", { class: "body" }, log, jump), form, hint);
  const badge = el("span", { class: "badge", hidden: "" });
  const launcher = el("button", {
    class: "launcher", type: "button", "aria-expanded": "false", "aria-controls": "panel",
    "aria-label": "Open chat", onclick: () => (panel.hidden ? open() : close()),
  }, badge);
  root.append(panel, launcher);

  // ---------------------------------------------------------------- showing
  function nearBottom() {
    return log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  }

  function toBottom(smooth = false) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    log.scrollTo({ top: log.scrollHeight, behavior: smooth && !calm ? "smooth" : "auto" });
    jump.hidden = true;
  }

  function keepingPlace(change, own = false) {
    const stick = own || nearBottom();
    change();
    if (stick) toBottom();
    else jump.hidden = false;
  }

  function showLauncher() {
    launcher.replaceChildren(icon(panel.hidden ? ICONS.chat : ICONS.fold, 26), badge);
    launcher.setAttribute("aria-expanded", String(!panel.hidden));
    host.toggleAttribute("data-open", !panel.hidden);
  }

  function showOwner() {
    const person = owner.state === "agent" && owner.person;
    face.classList.toggle("person", Boolean(person));
    face.replaceChildren(person ? initials(owner.person) : icon(ICONS.leaf, 22));
    title.textContent = person ? `You are talking to ${owner.person}` : OPTIONS.title;
    subtitle.textContent = person
      ? "A person from our team"
      : owner.state === "waiting"
        ? "A colleague will be with you soon"
        : "Answers at once";
    panel.dataset.state = owner.state;
    const wasNear = nearBottom();
    typing.hidden = !owner.typing;
    if (wasNear) toBottom();
  }

  const initials = (name) =>
    name.split(/\s+/).map((part) => [...part][0] || "").slice(0, 2).join("").toUpperCase();

  function showWelcome() {
    welcome.hidden = Boolean(lastSeq || outbox.length);
    if (welcome.hidden || welcome.childElementCount) return;
    const text = el("p", {});
    text.textContent = OPTIONS.welcome;
    const chips = el("div", { class: "chips" });
    for (const suggestion of OPTIONS.suggestions) {
      const chip = el("button", { type: "button", onclick: () => send(suggestion) });
      chip.textContent = suggestion;
      chips.append(chip);
    }
    welcome.append(
      el("div", { class: "big", "aria-hidden": "true" }, icon(ICONS.leaf, 34)), text, chips);
  }

  const WHO = { customer: "You", bot: "Assistant", system: "" };

  function row(line) {
    const name = line.author === "agent" ? line.name || "A colleague" : WHO[line.author];
    const bubble = el("div", { class: "bubble" });
    if (line.text) {
      const text = el("div", { class: "text" });
      if (line.author === "customer") text.textContent = line.text;
      else text.append(...linked(line.text));
      bubble.append(text);
    }
    const image = line.image && picture(line.image);
    if (image) bubble.append(image);
    const column = el("div", { class: "column" });
    const node = el("div", { class: `row ${line.author}` });
    if (line.author === "bot" || line.author === "agent") {
      const avatar = el("div", { class: "avatar", "aria-hidden": "true" });
      avatar.append(line.author === "bot" ? icon(ICONS.leaf, 16) : initials(name));
      node.append(avatar);
    }
    const caption = el("div", { class: line.author === "agent" ? "name" : "name hidden" });
    caption.textContent = name;
    if (name) column.append(caption);
    column.append(bubble);
    if (line.buttons?.length) column.append(choices(line.buttons));
    if (line.at && line.author !== "system") {
      const time = el("time", { class: "meta", datetime: line.at });
      time.textContent = clock(line.at);
      column.append(time);
    }
    node.append(column);
    return node;
  }

  function picture(address) {
    if (!URL.canParse(address, BASE)) return null;
    const url = new URL(address, BASE);
    if (!/^https?:$/.test(url.protocol)) return null;
    const image = el("img", { src: url.href, alt: "Picture from the shop", loading: "lazy" });
    image.addEventListener("load", () => nearBottom() && toBottom());
    image.addEventListener("error", () => image.remove());
    return image;
  }

  function choices(buttons) {
    const group = el("div", { class: "choices", role: "group", "aria-label": "Choices" });
    for (const { title: label, payload } of buttons) {
      const button = el("button", {
        type: "button",
        onclick: (event) => {
          send(payload, label);
          if (!event.detail) input.focus(); // by keyboard: the button is disabled now
        },
      });
      button.textContent = label;
      group.append(button);
    }
    return group;
  }

  function retireChoices() {
    for (const button of list.querySelectorAll(".choices button")) button.disabled = true;
  }

  function showLine(line) {
    if (line.seq <= lastSeq) return; // seen already
    lastSeq = line.seq;
    const mine = line.author === "customer";
    const confirmed = mine && outbox.find((m) => m.id === line.client_id);
    keepingPlace(() => {
      if (confirmed) drop(confirmed);
      if (mine) retireChoices();
      const node = row(line);
      const together = previous && previous.author === line.author && previous.name === line.name
        && new Date(line.at) - new Date(previous.at) < GROUP_MS && line.author !== "system";
      if (together) {
        previous.row.classList.add("continued");
        node.classList.add("following");
      }
      list.append(node);
      previous = { ...line, row: node };
      showWelcome();
    }, mine && Boolean(confirmed));
    if (panel.hidden && !mine) setUnread(unread + 1);
  }

  function setUnread(count) {
    unread = count;
    badge.hidden = !count;
    badge.textContent = count > 9 ? "9+" : String(count);
    launcher.setAttribute("aria-label", count ? `Open chat, ${count} new` : "Open chat");
  }

  function setBanner(text) {
    banner.hidden = !text;
    banner.textContent = text;
  }

  // ---------------------------------------------------------------- sending
  function send(text, label) {
    const trimmed = text.trim();
    if (!trimmed || length(trimmed) > LIMIT) return;
    const message = { id: newId(), text: trimmed, label, state: "sending", error: "" };
    outbox.push(message);
    retireChoices();
    keepingPlace(() => showPending(message), true);
    showWelcome();
    flush();
  }

  function showPending(message) {
    const line = { author: "customer", text: message.label ?? message.text, buttons: [] };
    const node = row(line);
    node.classList.add(message.state);
    const status = el("div", { class: "meta" });
    if (message.state === "failed" || message.state === "refused") {
      const sentence = el("span", { role: "alert" });
      sentence.textContent = message.error;
      status.append(sentence);
      if (message.state === "failed") {
        status.append(el("button", { type: "button", onclick: () => again(message) }, "Try again"));
      }
      status.append(el("button", { type: "button", onclick: () => drop(message) }, "Remove"));
    } else status.textContent = message.state === "sent" ? "Sent" : "Sending…";
    node.lastElementChild.append(status);
    if (message.node?.isConnected) message.node.replaceWith(node);
    else waiting.append(node);
    message.node = node;
    keepOutbox();
  }

  function keepOutbox() {
    const kept = outbox.filter((m) => m.state !== "refused")
      .map(({ id, text, label }) => ({ id, text, label }));
    ofThisTab.setItem(`${KEY}:outbox`, JSON.stringify(kept));
  }

  function drop(message) {
    message.node?.remove();
    outbox = outbox.filter((m) => m !== message);
    keepOutbox();
    showWelcome();
  }

  function mark(message, state, error = "") {
    Object.assign(message, { state, error });
    if (outbox.includes(message)) keepingPlace(() => showPending(message), true);
  }

  function again(message) {
    mark(message, "sending");
    flush();
  }

  /* One after the other, so that messages arrive in the order in which they were written. */
  async function flush() {
    if (flushing) return;
    flushing = true;
    try {
      for (let next; (next = outbox.find((m) => m.state === "sending")); ) await deliver(next);
    } finally {
      flushing = false;
    }
  }

  async function deliver(message, lost = false) {
    const began = generation;
    let response;
    try {
      await ensureSession();
      response = await post(`v1/chat/${session}/messages`,
        { text: message.text, client_id: message.id });
    } catch {
      if (began === generation) mark(message, "failed", "Not sent.");
      return;
    }
    if (response.status === 404 && !lost) {
      forget(false);
      await deliver(message, true);
    } else if (response.ok) {
      mark(message, "sent");
      connect();
    } else if (response.status < 500 && ![408, 429].includes(response.status)) {
      const said = await response.json().catch(() => ({}));
      mark(message, "refused", said.error || "This message was refused.");
    } else mark(message, "failed", "Not sent.");
  }

  function post(path, body) {
    return fetch(new URL(path, BASE), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(POST_MS),
    });
  }

  async function ensureSession() {
    if (session) return;
    const response = await post("v1/chat/sessions", {});
    if (!response.ok) throw new Error("no session");
    ({ session } = await response.json());
    lasting.setItem(KEY, session);
    connect();
  }

  // ---------------------------------------------------------------- receiving
  function connect() {
    if (!session || source || retryTimer) return;
    const mine = (source = new EventSource(
      new URL(`v1/chat/${session}/events?after=${lastSeq}`, BASE)));
    mine.addEventListener("message", (event) => {
      if (mine === source) showLine(JSON.parse(event.data));
    });
    mine.addEventListener("owner", (event) => {
      if (mine !== source) return;
      owner = JSON.parse(event.data);
      showOwner();
      connected();
    });
    mine.addEventListener("error", () => {
      if (mine === source) lostConnection();
    });
  }

  function connected() {
    failures = 0;
    clearTimeout(downTimer);
    downTimer = 0;
    setBanner("");
    log.removeAttribute("aria-busy");
    for (const message of outbox.filter((m) => m.state === "failed")) mark(message, "sending");
    flush();
  }

  function disconnect() {
    source?.close();
    source = null;
    clearTimeout(retryTimer);
    retryTimer = 0;
  }

  function lostConnection() {
    disconnect();
    downTimer ||= setTimeout(() => setBanner("Connection lost. Reconnecting…"), 1200);
    const delay = Math.min(10000, 500 * 2 ** failures++) * (0.75 + Math.random() / 2);
    retryTimer = setTimeout(async () => {
      const gone = await sessionIsGone();
      retryTimer = 0;
      if (gone) forget(false);
      else connect();
    }, delay);
  }

  /* An event source does not tell a 404 from a dead network; asking does, and brings news. */
  async function sessionIsGone() {
    const asked = session;
    try {
      const response = await fetch(
        new URL(`v1/chat/${asked}/messages?after=${lastSeq}`, BASE),
        { signal: AbortSignal.timeout(POST_MS) });
      if (asked !== session) return false;
      if (response.ok) (await response.json()).messages.forEach(showLine);
      return response.status === 404;
    } catch {
      return false;
    }
  }

  /* Forget the session here; `all` also throws away what was written and not sent yet. */
  function forget(all) {
    generation += 1;
    disconnect();
    session = null;
    lasting.removeItem(KEY);
    clear();
    if (all) {
      for (const message of [...outbox]) drop(message);
    }
    showWelcome();
  }

  function clear() {
    lastSeq = 0;
    previous = null;
    list.replaceChildren();
    owner = { state: "bot", person: "", typing: false };
    clearTimeout(downTimer);
    downTimer = 0;
    setBanner("");
    setUnread(0);
    showOwner();
  }

  // ---------------------------------------------------------------- the person's hands
  function open() {
    panel.hidden = false;
    showLauncher();
    ofThisTab.setItem(`${KEY}:open`, "1");
    setUnread(0);
    showWelcome();
    toBottom();
    input.focus();
    connect();
  }

  function close() {
    panel.hidden = true;
    showLauncher();
    ofThisTab.removeItem(`${KEY}:open`);
    launcher.focus();
  }

  function askForFresh() {
    if (!session && !outbox.length) {
      input.focus();
      return;
    }
    const no = el("button", { type: "button", onclick: () => endAsking() }, "Keep it");
    const yes = el("button", {
      type: "button", class: "yes",
      onclick: () => {
        forget(true);
        endAsking();
      },
    }, "New conversation");
    confirmBar.replaceChildren(el("span", {}, "Start over?"), no, yes);
    confirmBar.hidden = false;
    no.focus();
  }

  function endAsking() {
    confirmBar.hidden = true;
    input.focus();
  }

  function measure() {
    input.style.height = "auto";
    input.style.height = `${Math.min(input.scrollHeight, 132)}px`;
    const count = length(input.value.trim());
    sendButton.disabled = !count || count > LIMIT;
    hint.classList.toggle("over", count > LIMIT);
    hint.textContent = count > LIMIT
      ? `${count - LIMIT} characters too many (at most ${LIMIT})`
      : count >= COUNT_FROM ? `${LIMIT - count} characters left` : "";
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (sendButton.disabled) return;
    send(input.value);
    input.value = "";
    measure();
    input.focus();
  });
  input.addEventListener("input", measure);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    if (confirmBar.hidden) close();
    else endAsking();
  });
  // The box for writing grows and shrinks the space above it: what was last stays in sight.
  let following = true;
  new ResizeObserver(() => following && toBottom()).observe(log);
  log.addEventListener("scroll", () => {
    following = nearBottom();
    if (following) jump.hidden = true;
  });
  window.addEventListener("storage", (event) => {
    if (event.key !== KEY || event.newValue === session) return;
    generation += 1; // another tab has begun another conversation
    disconnect();
    session = event.newValue;
    clear();
    showWelcome();
    connect();
  });
  window.addEventListener("online", () => {
    failures = 0;
    if (!session) return;
    disconnect();
    connect();
  });
  document.addEventListener("visibilitychange", () => {
    // A hidden page that expects nobody frees its connection; browsers allow six to one host.
    if (!document.hidden) connect();
    else if (["bot", "closed"].includes(owner.state) && !owner.typing && !outbox.length)
      disconnect();
  });
  document.addEventListener("click", (event) => {
    const asked = event.target.closest?.("[data-handoff-ask], [data-handoff-open]");
    if (!asked) return;
    event.preventDefault();
    open();
    if (asked.dataset.handoffAsk) send(asked.dataset.handoffAsk);
  });

  sheet.replaceSync(`
:host { all: initial; --accent: ${OPTIONS.accent}; --on-accent: ${readableOn(OPTIONS.accent)};
  --ink: #1d2621; --quiet: #5b665f; --line: #e4e0d6; --paper: #ffffff; --ground: #f8f6f0;
  --person: #fbe9dd; --person-ink: #7a3413; --warn: #a4231b;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  color: var(--ink); }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
.hidden { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
button, textarea { font: inherit; color: inherit; }
button { cursor: pointer; }
:focus-visible { outline: 3px solid color-mix(in srgb, var(--accent) 55%, white);
  outline-offset: 2px; }
.launcher { position: fixed; right: 24px; bottom: 24px; z-index: 2147483000; width: 60px;
  height: 60px; border: 0; border-radius: 50%; background: var(--accent); color: var(--on-accent);
  display: grid; place-items: center; box-shadow: 0 8px 24px rgb(20 36 28 / .28);
  transition: transform .15s ease; }
.launcher:hover { transform: translateY(-2px); }
.badge { position: absolute; top: -4px; right: -4px; min-width: 22px; height: 22px; padding: 0 6px;
  border-radius: 11px; background: #b8431c; color: #fff; font-size: 12px; line-height: 22px;
  font-weight: 700; text-align: center; }
.panel { position: fixed; right: 24px; bottom: 98px; z-index: 2147483001; display: flex;
  flex-direction: column; width: 392px; max-width: calc(100vw - 32px);
  height: min(640px, calc(100vh - 122px)); background: var(--ground); border-radius: 20px;
  overflow: hidden; box-shadow: 0 18px 60px rgb(20 36 28 / .26), 0 0 0 1px rgb(20 36 28 / .06);
  animation: rise .18s ease-out; }
@keyframes rise { from { opacity: 0; transform: translateY(12px); } }
header { display: flex; align-items: center; gap: 12px; padding: 14px 12px 14px 16px;
  background: var(--accent); color: var(--on-accent); }
.face { flex: none; display: grid; place-items: center; width: 42px; height: 42px;
  border-radius: 50%; background: color-mix(in srgb, var(--on-accent) 16%, transparent);
  font-weight: 700; letter-spacing: .02em; }
.face.person { background: var(--person); color: var(--person-ink); }
.who { flex: 1; min-width: 0; }
.title { font-weight: 650; font-size: 16px; line-height: 1.3; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; }
.subtitle { font-size: 13px; line-height: 1.35; opacity: .92; }
.tool { flex: none; display: grid; place-items: center; width: 38px; height: 38px; border: 0;
  border-radius: 10px; background: transparent; color: inherit; }
.tool:hover { background: color-mix(in srgb, var(--on-accent) 15%, transparent); }
.tool:focus-visible { outline-color: var(--on-accent); outline-offset: -2px; }
.confirm, .banner { padding: 9px 16px; font-size: 14px; }
.confirm { display: flex; align-items: center; gap: 8px; background: #fff;
  border-bottom: 1px solid var(--line); }
.confirm span { flex: 1; }
.confirm button { border: 1px solid var(--line); background: #fff; border-radius: 9px;
  padding: 5px 11px; }
.confirm .yes { border-color: var(--accent); background: var(--accent); color: var(--on-accent); }
.banner { background: #fff3d6; color: #5f4300; text-align: center; }
.body { position: relative; flex: 1; min-height: 0; }
.log { height: 100%; overflow-y: auto; padding: 18px 16px 10px; overscroll-behavior: contain;
  scrollbar-width: thin; scrollbar-color: #cfcabd transparent; }
.log:focus-visible { outline-offset: -3px; }
.welcome { text-align: center; padding: 14px 6px 4px; color: var(--quiet); }
.welcome p { margin: 12px auto 18px; max-width: 290px; color: var(--ink); white-space: pre-wrap; }
.big { display: inline-grid; place-items: center; width: 68px; height: 68px; border-radius: 50%;
  color: var(--accent); background: color-mix(in srgb, var(--accent) 12%, white); }
.chips { display: flex; flex-direction: column; gap: 8px; }
.chips button, .choices button { border: 1px solid color-mix(in srgb, var(--accent) 40%, white);
  background: #fff; color: color-mix(in srgb, var(--accent) 85%, black); border-radius: 12px;
  padding: 8px 13px; text-align: left; transition: background .12s; }
.chips button:hover, .choices button:not(:disabled):hover {
  background: color-mix(in srgb, var(--accent) 9%, white); }
.row { display: flex; gap: 8px; margin: 0 0 14px; align-items: flex-end; }
.row.continued { margin-bottom: 4px; }
.row.continued .meta, .row.following .name:not(.hidden) { display: none; }
.row.continued .avatar { visibility: hidden; }
.column { display: flex; flex-direction: column; min-width: 0; max-width: 84%; }
.bubble { padding: 9px 13px; border-radius: 16px; background: var(--paper);
  border: 1px solid var(--line); }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.text a { color: inherit; text-decoration: underline; text-underline-offset: 2px; }
.bubble img { display: block; max-width: 100%; max-height: 260px; margin-top: 6px;
  border-radius: 10px; }
.bubble img:first-child { margin-top: 0; }
.row:has(.choices) { align-items: flex-start; }
.row:has(.choices) .avatar { margin: 6px 0 0; }
.avatar { flex: none; display: grid; place-items: center; width: 28px; height: 28px;
  margin-bottom: 21px; border-radius: 50%; font-size: 11px; font-weight: 700; color: var(--accent);
  background: color-mix(in srgb, var(--accent) 13%, white); }
.row.continued .avatar, .typing .avatar { margin-bottom: 0; }
.bot .bubble, .agent .bubble { border-bottom-left-radius: 5px; }
.agent .bubble { background: var(--person); border-color: #f3d3bf; }
.agent .avatar { background: #f3cdb6; color: var(--person-ink); }
.name { margin: 0 0 3px 4px; font-size: 13px; font-weight: 600; color: var(--person-ink); }
.customer { justify-content: flex-end; }
.customer .column { align-items: flex-end; }
.customer .bubble { background: var(--accent); border-color: var(--accent);
  color: var(--on-accent); border-bottom-right-radius: 5px; }
.sending .bubble { opacity: .68; }
.failed .bubble, .refused .bubble { background: #fff; color: var(--ink);
  border: 1px solid var(--warn); }
.meta { margin: 3px 4px 0; font-size: 12px; line-height: 18px; color: var(--quiet); }
.failed .meta, .refused .meta { color: var(--warn); text-align: right; }
.meta button { border: 0; background: none; padding: 0 0 0 8px; text-decoration: underline;
  text-underline-offset: 2px; font-weight: 600; color: inherit; }
.system { justify-content: center; }
.system .column { max-width: 92%; align-items: center; }
.system .bubble { padding: 6px 14px; border: 0; border-radius: 14px; background: #ebe7dc;
  color: #4a554e; font-size: 13px; line-height: 1.45; text-align: center; text-wrap: balance; }
.choices { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 8px; }
.choices button { padding: 6px 12px; border-radius: 16px; font-size: 14px; max-width: 100%;
  overflow-wrap: anywhere; }
@media (pointer: coarse) { .choices button { padding: 10px 14px; border-radius: 20px; } }
.choices button:disabled { cursor: default; border-color: var(--line); color: var(--quiet);
  background: transparent; }
.typing .bubble { display: flex; gap: 4px; padding: 13px 14px; }
.typing i { width: 7px; height: 7px; border-radius: 50%; background: #9aa59d;
  animation: bob 1.1s infinite ease-in-out; }
.typing i:nth-of-type(2) { animation-delay: .15s; }
.typing i:nth-of-type(3) { animation-delay: .3s; }
@keyframes bob { 0%, 60%, 100% { transform: none; opacity: .5; }
  30% { transform: translateY(-4px); opacity: 1; } }
.jump { position: absolute; left: 50%; bottom: 10px; transform: translateX(-50%); display: flex;
  gap: 6px; align-items: center; border: 0; border-radius: 16px; padding: 6px 14px;
  font-size: 13px; background: var(--ink); color: #fff;
  box-shadow: 0 4px 14px rgb(20 36 28 / .3); }
.composer { display: flex; align-items: flex-end; gap: 8px; margin: 0; padding: 10px 12px 10px;
  background: #fff; border-top: 1px solid var(--line); }
textarea { flex: 1; min-width: 0; resize: none; border: 1px solid #cfcabd; border-radius: 14px;
  padding: 9px 13px; background: #fff; font-size: 16px; line-height: 1.4; max-height: 132px;
  overflow-y: auto; }
textarea::placeholder { color: #6b756e; opacity: 1; }
textarea:focus-visible { outline: none; border-color: var(--accent);
  box-shadow: 0 0 0 1.5px var(--accent); }
.send { flex: none; display: grid; place-items: center; width: 43px; height: 43px; border: 0;
  border-radius: 50%; background: var(--accent); color: var(--on-accent); }
.send:disabled { background: #e0dcd1; color: #757c76; cursor: default; }
.hint { padding: 0 16px; background: #fff; font-size: 12px; color: var(--quiet); }
.hint:not(:empty) { padding-bottom: 9px; }
.hint.over { color: var(--warn); font-weight: 600; }
@media (max-width: 520px) {
  .panel { inset: 0; width: auto; max-width: none; height: 100dvh; border-radius: 0; }
  :host([data-open]) .launcher { display: none; }
  .launcher { right: 16px; bottom: 16px; }
}
@media (prefers-reduced-motion: reduce) { * { animation: none !important;
  transition: none !important; } }
`);

  // ---------------------------------------------------------------- begin
  function begin() {
    document.body.append(host);
    showOwner();
    showLauncher();
    try {
      for (const kept of JSON.parse(ofThisTab.getItem(`${KEY}:outbox`) || "[]")) {
        const message = { ...kept, state: "sending", error: "" };
        outbox.push(message);
        showPending(message);
      }
    } catch {
      ofThisTab.removeItem(`${KEY}:outbox`); // not ours, or cut off: nothing to send again
    }
    showWelcome();
    if (ofThisTab.getItem(`${KEY}:open`)) open();
    connect();
    flush();
  }

  window.HandoffDesk = {
    open,
    close,
    ask(text) {
      open();
      send(String(text));
    },
  };
  if (document.body) begin();
  else document.addEventListener("DOMContentLoaded", begin);
})();
