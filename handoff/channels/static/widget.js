/* Handoff Desk chat widget. One tag on any page:
 *   <script src="https://YOUR-DESK/widget.js" defer></script>
 * Options, all as attributes of the tag: data-title, data-welcome, data-suggestions (separated
 * by |), data-accent (a colour such as #1f5c43). An element with data-handoff-ask="…" asks that
 * when it is clicked, one with data-handoff-open opens the chat; in scripts: HandoffDesk.ask(text).
 * Text of messages only ever becomes text nodes, never markup.
 * It runs in Safari 15 and in the Chrome, Edge and Firefox of the last two years, and uses nothing
 * that came to Safari later: tests/web/test_old_browsers.py takes such things away.
 */
(() => {
  "use strict";
  if (window.HandoffDesk) return;

  const tag = document.currentScript || document.querySelector('script[src*="widget.js"]');
  const BASE = new URL(".", tag.src);
  const OPTIONS = {
    title: tag.dataset.title || "Shop assistant",
    welcome:
      tag.dataset.welcome || "Hello! Ask me about orders, deliveries, refunds or your account.",
    suggestions: (tag.dataset.suggestions || "").split("|").map((s) => s.trim()).filter(Boolean),
    accent: /^#[0-9a-f]{6}$/i.test(tag.dataset.accent || "") ? tag.dataset.accent : "#1f5c43",
  };
  const DARK = "#14241c";
  const LIMIT = 5000; // characters (code points), as in handoff/core/limits.py
  const COUNT_FROM = 4500;
  const POST_MS = 15000;
  const GROUP_MS = 120000; // lines of one author closer than this stand together
  const SILENCE_MS = 25000; // the desk says something every 10 s: a stream silent for longer is dead
  const ANSWER_MS = 8000; // a new stream speaks at once, unless it was put on a dead connection

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

  /* Storage may be forbidden or full; then what it would keep lasts as long as the page. */
  function storage(kind) {
    const kept = new Map();
    const attempt = (use, otherwise) => {
      try {
        return use(window[kind]);
      } catch {
        return otherwise;
      }
    };
    return {
      getItem: (k) => (kept.has(k) ? kept.get(k) : attempt((store) => store.getItem(k), null)),
      setItem: (k, v) =>
        attempt((store) => (store.setItem(k, v), kept.delete(k)), null) ?? kept.set(k, v),
      removeItem: (k) => {
        kept.delete(k);
        attempt((store) => store.removeItem(k), null);
      },
    };
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

  /* Colours are written #rrggbb. A share of 1 is the first colour alone. */
  const channels = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  function mixed(one, other, share) {
    const b = channels(other);
    return "#" + channels(one)
      .map((a, i) => Math.round(a * share + b[i] * (1 - share)).toString(16).padStart(2, "0"))
      .join("");
  }

  /* The contrast of two colours as WCAG 2 defines it, 1 to 21. */
  function contrast(one, other) {
    const [a, b] = [one, other].map((colour) => {
      const [r, g, b] = channels(colour).map((value) => {
        const c = value / 255;
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    });
    return Math.max(a, b) / Math.min(a, b);
  }

  /* Letters that can be read on a colour: on every one of them white or black can. */
  const readableOn = (colour) =>
    ["#ffffff", DARK].find((letters) => contrast(colour, letters) >= 4.5) || "#000000";

  /* A colour, darkened until it can be read on the lightest grounds of the chat. */
  function darkEnough(colour) {
    let share = 1;
    while (share > 0 && contrast(mixed(colour, DARK, share), "#f2efe7") < 4.5) share -= 0.04;
    return mixed(colour, DARK, Math.max(share, 0));
  }

  /* An address as a URL, or null where it is none (`URL.canParse` is younger than some browsers). */
  function parsed(address) {
    try {
      return typeof address === "string" ? new URL(address, BASE) : null;
    } catch {
      return null;
    }
  }

  /* Where an address found in running text ends: what closes the sentence is not part of it, nor
   * a bracket that was opened before it. */
  function withoutEnd(address) {
    const open = { ")": "(", "]": "[", "}": "{" };
    for (let end = address.length; end > 0; end -= 1) {
      const last = address[end - 1];
      const before = address.slice(0, end);
      if (last in open && before.split(last).length <= before.split(open[last]).length)
        return before;
      if (!/[.,;:!?)\]}*_~|…،؛؟。、！？；：，）】」』”’»]/.test(last)) return before;
    }
    return "";
  }

  /* A link to an address; it reads from left to right wherever it stands. */
  function anchor(address, words) {
    const node = el("a", {
      href: address, target: "_blank", rel: "noopener noreferrer nofollow", dir: "ltr",
    });
    node.textContent = words;
    return node;
  }

  /* Text with its http(s) addresses as links: text nodes and anchors, nothing else. */
  function linked(text) {
    const parts = [];
    let from = 0;
    for (const match of text.matchAll(/https?:\/\/[^\s<>"'`]+/gi)) {
      const address = withoutEnd(match[0]);
      if (!parsed(address)) continue;
      parts.push(text.slice(from, match.index), anchor(address, address));
      from = match.index + address.length;
    }
    parts.push(text.slice(from));
    return parts;
  }

  /* An agent's text: runs of lines that begin with ">" are what is quoted. */
  function quoting(text) {
    const parts = [];
    for (const [run] of text.matchAll(/(?:^>.*\n?)+|(?:^(?!>).*\n?)+/gm)) {
      if (!run) continue;
      // What stands behind a quote is set apart from it by its frame.
      const words = parts.length ? run.replace(/^\n|\n$/g, "") : run.replace(/\n$/, "");
      if (run.startsWith(">"))
        parts.push(el("blockquote", { dir: "auto" }, ...linked(words.replace(/^> ?/gm, ""))));
      else parts.push(...linked(words));
    }
    return parts;
  }

  /* Text without blank lines around it; empty where there is nothing to see at all. */
  function visible(text) {
    const seen = /[^\s\p{Cc}\p{Cf}\u034f\u115f\u1160\u2800\u3164\ufe0e\ufe0f\uffa0]/u;
    return seen.test(text) ? text.replace(/^(?:[^\S\n]*\n)+/, "").trimEnd() : "";
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
  let seen = seenBefore(); // up to this line the customer has read
  const lostSessions = new Set(); // what they were sent, nobody has: it counts as not sent
  let heardAt = 0; // when the stream said something last, by the clock
  let unanswered = 0; // streams in a row that were opened and have said nothing yet

  // ---------------------------------------------------------------- the elements
  const host = el("div", { id: "handoff-desk" });
  const root = host.attachShadow({ mode: "open" });

  const title = el("bdi", {});
  const subtitle = el("bdi", {});
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
  const banner = el("div", { class: "banner", role: "status", dir: "auto", hidden: "" });
  const input = el("textarea", {
    id: "text", rows: "1", placeholder: "Write a message…", autocomplete: "off", dir: "auto",
    enterkeyhint: "send", "aria-describedby": "hint",
  });
  const sendButton = el("button", {
    class: "send", type: "submit", "aria-label": "Send message", disabled: "",
  }, icon(ICONS.send));
  const hint = el("div", { class: "hint", id: "hint", role: "status", dir: "auto" });
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
    el("header", {}, face,
      el("div", { class: "who" },
        el("div", { class: "title" }, title), el("div", { class: "subtitle" }, subtitle)),
      freshButton,
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
    if (person) title.replaceChildren("You are talking to ", el("bdi", {}, owner.person));
    else title.textContent = OPTIONS.title;
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
    const text = el("p", { dir: "auto" });
    text.textContent = OPTIONS.welcome;
    const chips = el("div", { class: "chips" });
    for (const suggestion of OPTIONS.suggestions) {
      const chip = el("button", {
        type: "button", dir: "auto", onclick: () => send(suggestion),
      });
      chip.textContent = suggestion;
      chips.append(chip);
    }
    welcome.append(
      el("div", { class: "big", "aria-hidden": "true" }, icon(ICONS.leaf, 34)), text, chips);
  }

  const WHO = { customer: "You", bot: "Assistant", system: "" };

  /* A line as an element, or null where there is nothing to see in it. */
  function row(line) {
    const name = line.author === "agent" ? line.name || "A colleague" : WHO[line.author];
    const bubble = el("div", { class: "bubble" });
    const words = visible(line.text || "");
    if (words) {
      const text = el("div", { class: "text", dir: "auto" });
      if (line.author === "customer") text.textContent = words;
      else text.append(...(line.author === "agent" ? quoting(words) : linked(words)));
      bubble.append(text);
    }
    const image = line.image && picture(line.image);
    if (image) bubble.append(image);
    const extra = line.attachment && attached(line.attachment);
    if (extra) bubble.append(extra);
    const offers = line.buttons?.length ? choices(line.buttons) : null;
    if (!bubble.hasChildNodes() && !offers) return null;
    const column = el("div", { class: "column" });
    const node = el("div", { class: `row ${line.author}${offers ? " offering" : ""}` });
    if (line.author === "bot" || line.author === "agent") {
      const avatar = el("div", { class: "avatar", "aria-hidden": "true" });
      avatar.append(line.author === "bot" ? icon(ICONS.leaf, 16) : initials(name));
      node.append(avatar);
    }
    if (name) {
      const caption = line.author === "agent" ? "name" : "name hidden";
      column.append(el("div", { class: caption }, el("bdi", {}, name)));
    }
    if (bubble.hasChildNodes()) column.append(bubble);
    if (offers) column.append(offers);
    if (line.at && line.author !== "system") {
      const time = el("time", { datetime: line.at, dir: "auto" });
      time.textContent = clock(line.at);
      column.append(el("div", { class: "meta" }, time));
    }
    node.append(column);
    return node;
  }

  /* What is left of a line that cannot be built: its words, so that it is not lost. */
  function plainRow(line) {
    const words = el("div", { class: "text", dir: "auto" });
    words.textContent = visible(String(line.text || "")) || "This message cannot be shown here.";
    const column = el("div", { class: "column" }, el("div", { class: "bubble" }, words));
    return el("div", { class: `row ${line.author}` }, column);
  }

  function picture(address) {
    const url = parsed(address);
    if (!url || !/^https?:$/.test(url.protocol)) return null;
    const image = el("img", { src: url.href, alt: "Picture from the shop", loading: "lazy" });
    image.addEventListener("load", () => nearBottom() && toBottom());
    image.addEventListener("error", () => {
      image.replaceWith(anchor(url.href, "Open the picture"));
    });
    return image;
  }

  /* What Rasa calls an attachment: an image is shown, everything else becomes a link. */
  function attached({ type, payload = {} }) {
    if (type === "image") return picture(payload.src);
    const url = parsed(payload.src || payload.url);
    if (!url || !/^https?:$/.test(url.protocol)) return null;
    return anchor(url.href, typeof payload.title === "string" ? payload.title : "Open the file");
  }

  function choices(buttons) {
    const group = el("div", { class: "choices", role: "group", "aria-label": "Choices" });
    for (const { title: label, payload } of buttons) {
      const button = el("button", {
        type: "button", dir: "auto",
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
    if (!(line.seq > lastSeq)) return; // seen already
    lastSeq = line.seq;
    const mine = line.author === "customer";
    const confirmed = mine && outbox.find((m) => m.id === line.client_id);
    let node;
    try {
      node = row(line);
    } catch (error) {
      console.error("Handoff Desk: a message is shown as plain text.", error);
      node = plainRow(line);
    }
    keepingPlace(() => {
      if (confirmed) drop(confirmed);
      if (mine) retireChoices();
      if (!node) return;
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
    if (!panel.hidden && !document.hidden) markSeen();
    else if (panel.hidden && !mine && node && line.seq > seen) setUnread(unread + 1);
  }

  /* What was read in one tab, or before the page was left, is not announced again. */
  function markSeen() {
    if (lastSeq <= seen) return;
    seen = lastSeq;
    // Where another tab has begun anew and this one has not heard of it yet, the number stored is
    // of the new conversation.
    if (lasting.getItem(KEY) === session) lasting.setItem(`${KEY}:seen`, String(seen));
  }

  /* Up to which line the conversation was read in any tab, before the page was loaded too. */
  function seenBefore() {
    return (session && Number(lasting.getItem(`${KEY}:seen`))) || 0;
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
    const node = row(line) || plainRow(line);
    node.classList.add(message.state);
    const status = el("div", { class: "meta", dir: "auto" });
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
    // What was confirmed is at the desk: a page loaded again, perhaps in another conversation,
    // must not send it.
    const kept = outbox.filter((m) => m.state !== "refused" && m.state !== "sent")
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

  /* Send a message once. Where the conversation has become another meanwhile and the desk does not
   * have the message, it stays as it is, and `flush` sends it to the new one. */
  async function deliver(message) {
    let asked = session;
    let made = false;
    let response;
    try {
      made = await ensureSession();
      if (!outbox.includes(message)) return; // thrown away while the session was made
      asked = session;
      response = await post(`v1/chat/${asked}/messages`,
        { text: message.text, client_id: message.id });
    } catch {
      if (asked === session) mark(message, "failed", "Not sent.");
      return;
    }
    if (asked !== session) {
      if (response.ok && !lostSessions.has(asked)) drop(message); // it belongs to the former one
    } else if (response.status === 404 && !made) {
      forget(false);
    } else if (response.ok) {
      mark(message, "sent");
      connect();
    } else if (response.status < 500 && ![408, 429].includes(response.status)) {
      const said = await response.json().catch(() => ({}));
      mark(message, "refused", said.error || "This message was refused.");
    } else mark(message, "failed", "Not sent.");
  }

  /* A request that is given up after a while. */
  function ask(path, options) {
    const giveUp = new AbortController();
    setTimeout(() => giveUp.abort(), POST_MS);
    return fetch(new URL(path, BASE).href, { ...options, signal: giveUp.signal });
  }

  function post(path, body) {
    return ask(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  /* Have a session: the one another tab has stored, else a new one. True where it was made here. */
  async function ensureSession() {
    if (!session) adopt(lasting.getItem(KEY));
    if (session) return false;
    const response = await post("v1/chat/sessions", {});
    if (!response.ok) throw new Error("no session");
    const made = (await response.json()).session;
    adopt(lasting.getItem(KEY)); // another tab may have been faster; the one made stays unused
    if (session) return false;
    session = made;
    seen = 0;
    lasting.removeItem(`${KEY}:seen`); // first, so that no tab takes it for the new session's
    lasting.setItem(KEY, session);
    connect();
    return true;
  }

  // ---------------------------------------------------------------- receiving
  /* A hidden page with nothing to send holds no connection: browsers allow six to one host, and with
   * as many tabs in the background the one in front could send nothing. */
  function idle() {
    return document.hidden && outbox.every((m) => m.state === "refused");
  }

  function connect() {
    if (!session || source || retryTimer || idle()) return;
    heardAt = Date.now();
    unanswered += 1;
    if (!lastSeq) log.setAttribute("aria-busy", "true"); // nobody wants all of it read aloud
    const mine = (source = new EventSource(
      new URL(`v1/chat/${session}/events?after=${lastSeq}`, BASE).href));
    const on = (name, react) => mine.addEventListener(name, (event) => {
      if (mine !== source) return;
      heardAt = Date.now();
      unanswered = 0;
      react(event);
      if (idle()) disconnect();
    });
    on("message", (event) => {
      const line = read(event.data);
      if (line) showLine(line);
    });
    on("owner", (event) => {
      owner = read(event.data) || owner;
      showOwner();
      connected();
    });
    on("alive", () => {});
    on("error", lostConnection);
  }

  function read(data) {
    try {
      return JSON.parse(data);
    } catch (error) {
      console.error("Handoff Desk: an event cannot be read.", error);
      return null;
    }
  }

  /* A connection can die unheard: the machine slept, the network changed, a proxy forgot it. */
  function lookAfterStream() {
    // A browser may open the stream on an old connection that has died with the others; where the
    // network is only slow, each attempt is given more time than the one before.
    const patience = unanswered
      ? Math.min(SILENCE_MS, ANSWER_MS * 2 ** (unanswered - 1))
      : SILENCE_MS;
    // The clock may also have been set back, so a distance in either direction counts.
    if (source && Math.abs(Date.now() - heardAt) > patience) {
      disconnect();
      connect();
    }
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
    const timer = setTimeout(async () => {
      // An event source does not tell a 404 from a dead network; asking does, and brings news.
      let gone = false;
      let lines = [];
      try {
        const response = await ask(`v1/chat/${session}/messages?after=${lastSeq}`);
        gone = response.status === 404;
        if (response.ok) lines = [...(await response.json()).messages];
      } catch {
        gone = false; // the network is down, or what answers is not the desk
      }
      // Meanwhile the page was hidden, has connected anew or is in another conversation.
      if (retryTimer !== timer) return;
      retryTimer = 0;
      lines.forEach(showLine);
      if (gone) forget(false);
      else connect();
    }, delay);
    retryTimer = timer;
  }

  /* Leave the session, for the one another tab has begun or for none yet; `all` also throws away
   * what was written and not sent yet. Without it the desk does not know the session any more. */
  function forget(all) {
    if (lasting.getItem(KEY) === session) lasting.removeItem(KEY);
    if (all) {
      for (const message of [...outbox]) drop(message);
    }
    turnTo(lasting.getItem(KEY), !all);
  }

  /* Another tab has begun another conversation, perhaps while this page stood still. */
  function adopt(stored) {
    // Two tabs that begin at once each make a session, and one of the two is kept. Of the other
    // nobody has seen a line, so what it was sent must not stay there.
    if (stored !== session) turnTo(stored, !lastSeq);
  }

  /* Go on in another conversation, or in none yet (null). Lines that were confirmed and not shown
   * yet stay in the former one, or are sent again where that is `lost`. */
  function turnTo(other, lost) {
    if (lost && session) lostSessions.add(session);
    disconnect();
    session = other;
    lastSeq = 0;
    previous = null;
    seen = seenBefore();
    list.replaceChildren();
    owner = { state: "bot", person: "", typing: false };
    clearTimeout(downTimer);
    downTimer = 0;
    setBanner("");
    setUnread(0);
    showOwner();
    if (confirmBar.contains(root.activeElement)) input.focus();
    confirmBar.hidden = true; // what it asks about is over
    for (const message of outbox.filter((m) => m.state === "sent")) {
      if (lost) mark(message, "sending");
      else drop(message);
    }
    showWelcome();
    connect();
    flush();
  }

  // ---------------------------------------------------------------- the person's hands
  /* A page that opens the chat by itself leaves the focus where it was. */
  function open(focus = true) {
    panel.hidden = false;
    showLauncher();
    ofThisTab.setItem(`${KEY}:open`, "1");
    setUnread(0);
    markSeen();
    showWelcome();
    toBottom();
    if (focus) input.focus();
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

  function submit(event) {
    event.preventDefault();
    if (sendButton.disabled) return;
    send(input.value);
    input.value = "";
    measure();
    input.focus();
  }

  /* A key that belongs to an input method: it ends or takes back a composition and does nothing
   * else. Safari says so by the number 229 alone, for it ends the composition before the key. */
  const composing = (event) => event.isComposing || event.keyCode === 229;

  form.addEventListener("submit", submit);
  input.addEventListener("input", measure);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !composing(event)) submit(event);
  });
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || composing(event)) return;
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
    // Several events may have waited for their turn: what they say can be outdated, the store is not.
    if (event.key === KEY) adopt(lasting.getItem(KEY));
    if (event.key === `${KEY}:seen`) {
      seen = Math.max(seen, seenBefore());
      if (seen >= lastSeq) setUnread(0);
    }
  });
  window.addEventListener("online", () => {
    failures = 0;
    if (!session) return;
    disconnect();
    connect();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      if (!panel.hidden) markSeen();
      lookAfterStream();
      connect();
    } else if (idle()) disconnect();
  });
  // A page that is kept to be gone back to holds no connection; what came meanwhile it gets then.
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    adopt(lasting.getItem(KEY));
    connect();
  });
  setInterval(lookAfterStream, 5000);
  document.addEventListener("click", (event) => {
    const asked = event.target.closest?.("[data-handoff-ask], [data-handoff-open]");
    if (!asked) return;
    event.preventDefault();
    open();
    if (asked.dataset.handoffAsk) send(asked.dataset.handoffAsk);
  });

  const ON_ACCENT = readableOn(OPTIONS.accent);
  const INK = darkEnough(OPTIONS.accent);
  const glass = `rgba(${channels(ON_ACCENT).join(", ")}, .16)`;
  dress(`
:host { all: initial; --accent: ${OPTIONS.accent}; --on-accent: ${ON_ACCENT};
  --on-accent-soft: ${glass}; --accent-ink: ${INK};
  --accent-line: ${mixed(INK, "#ffffff", 0.5)};
  --accent-soft: ${mixed(OPTIONS.accent, "#ffffff", 0.12)};
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
:focus-visible { outline: 3px solid var(--accent-ink); outline-offset: 2px; }
.launcher { position: fixed; inset-inline-end: 24px; bottom: 24px; z-index: 2147483000; width: 60px;
  height: 60px; border: 0; border-radius: 50%; background: var(--accent); color: var(--on-accent);
  display: grid; place-items: center; box-shadow: 0 8px 24px rgb(20 36 28 / .28);
  transition: transform .15s ease; }
.launcher:hover { transform: translateY(-2px); }
.badge { position: absolute; top: -4px; inset-inline-end: -4px; min-width: 22px; height: 22px; padding: 0 6px;
  border-radius: 11px; background: #b8431c; color: #fff; font-size: 12px; line-height: 22px;
  font-weight: 700; text-align: center; }
.panel { position: fixed; inset-inline-end: 24px; bottom: 98px; z-index: 2147483001; display: flex;
  flex-direction: column; width: 392px; max-width: calc(100vw - 32px);
  height: min(640px, calc(100vh - 122px)); background: var(--ground); border-radius: 20px;
  overflow: hidden; box-shadow: 0 18px 60px rgb(20 36 28 / .26), 0 0 0 1px rgb(20 36 28 / .06);
  animation: rise .18s ease-out; }
@keyframes rise { from { opacity: 0; transform: translateY(12px); } }
header { display: flex; align-items: center; gap: 12px; padding: 14px 12px;
  padding-inline-start: 16px;
  background: var(--accent); color: var(--on-accent); }
.face { flex: none; display: grid; place-items: center; width: 42px; height: 42px;
  border-radius: 50%; background: var(--on-accent-soft);
  font-weight: 700; letter-spacing: .02em; }
.face.person { background: var(--person); color: var(--person-ink); }
.who { flex: 1; min-width: 0; }
.title { font-weight: 650; font-size: 16px; line-height: 1.3; overflow: hidden;
  overflow-wrap: anywhere; display: -webkit-box; -webkit-box-orient: vertical;
  -webkit-line-clamp: 2; }
.subtitle { font-size: 13px; line-height: 1.35; }
.tool { flex: none; display: grid; place-items: center; width: 38px; height: 38px; border: 0;
  border-radius: 10px; background: transparent; color: inherit; }
.tool:hover { background: var(--on-accent-soft); }
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
  color: var(--accent-ink); background: var(--accent-soft); }
.chips { display: flex; flex-direction: column; gap: 8px; }
.chips button, .choices button { border: 1px solid var(--accent-line); background: #fff;
  color: var(--accent-ink); border-radius: 12px; padding: 8px 13px; text-align: start;
  transition: background .12s; }
.chips button:hover, .choices button:not(:disabled):hover { background: var(--accent-soft); }
.row { display: flex; gap: 8px; margin: 0 0 14px; align-items: flex-end; }
.row.continued { margin-bottom: 4px; }
.row.continued .meta, .row.following .name:not(.hidden) { display: none; }
.row.continued .avatar { visibility: hidden; }
.column { display: flex; flex-direction: column; min-width: 0; max-width: 84%; }
.bubble { padding: 9px 13px; border-radius: 16px; background: var(--paper);
  border: 1px solid var(--line); }
.text, .text blockquote { white-space: pre-wrap; overflow-wrap: anywhere; text-align: start;
  unicode-bidi: plaintext; }
.text blockquote { margin: 2px 0 6px; padding-inline-start: 10px; opacity: .85;
  border-inline-start: 3px solid currentcolor; }
.bubble a { color: inherit; text-decoration: underline; text-underline-offset: 2px; }
.bubble img { display: block; max-width: 100%; max-height: 260px; margin-top: 6px;
  border-radius: 10px; }
.bubble img:first-child { margin-top: 0; }
.avatar { flex: none; display: grid; place-items: center; width: 28px; height: 28px;
  margin-bottom: 21px; border-radius: 50%; font-size: 11px; font-weight: 700;
  color: var(--accent-ink); background: var(--accent-soft); }
.offering { align-items: flex-start; }
.offering .avatar { margin: 6px 0 0; }
.row.continued .avatar, .typing .avatar { margin-bottom: 0; }
.bot .bubble, .agent .bubble { border-end-start-radius: 5px; }
.agent .bubble { background: var(--person); border-color: #f3d3bf; }
.agent .avatar { background: #f3cdb6; color: var(--person-ink); }
.name { margin: 0 0 3px; margin-inline-start: 4px; font-size: 13px; font-weight: 600; color: var(--person-ink); }
.customer { justify-content: flex-end; }
.customer .column { align-items: flex-end; }
.customer .bubble { background: var(--accent); border-color: var(--accent);
  color: var(--on-accent); border-end-end-radius: 5px; }
.sending .bubble { opacity: .68; }
.failed .bubble, .refused .bubble { background: #fff; color: var(--ink);
  border: 1px solid var(--warn); }
.meta { margin: 3px 4px 0; font-size: 12px; line-height: 18px; color: var(--quiet); }
.failed .meta, .refused .meta { color: var(--warn); text-align: end; }
.meta button { border: 0; background: none; padding: 0; margin-inline-start: 8px;
  text-decoration: underline; text-underline-offset: 2px; font-weight: 600; color: inherit; }
.system { justify-content: center; }
.system .column { max-width: 92%; align-items: center; }
.system .bubble { padding: 6px 14px; border: 0; border-radius: 14px; background: #ebe7dc;
  color: #4a554e; font-size: 13px; line-height: 1.45; }
.system .text { text-align: center; text-wrap: balance; }
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
textarea:focus-visible { outline: none; border-color: var(--accent-ink);
  box-shadow: 0 0 0 1.5px var(--accent-ink); }
.send { flex: none; display: grid; place-items: center; width: 43px; height: 43px; border: 0;
  border-radius: 50%; background: var(--accent); color: var(--on-accent); }
.send:disabled { background: #e0dcd1; color: #757c76; cursor: default; }
.hint { padding: 0 16px; background: #fff; font-size: 12px; color: var(--quiet); }
.hint:not(:empty) { padding-bottom: 9px; }
.hint.over { color: var(--warn); font-weight: 600; }
@media (max-width: 520px) {
  .panel { inset: 0; width: auto; max-width: none; height: 100%; height: 100dvh;
    border-radius: 0; }
  :host([data-open]) .launcher { display: none; }
  .launcher { inset-inline-end: 16px; bottom: 16px; }
}
@media (prefers-reduced-motion: reduce) { * { animation: none !important;
  transition: none !important; } }
`);

  /* Style sheets made by a script pass any Content-Security-Policy; older browsers, which have
   * none, get an element with the nonce of the tag. */
  function dress(css) {
    try {
      if (!("adoptedStyleSheets" in root)) throw new TypeError("no adopted style sheets");
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(css);
      root.adoptedStyleSheets = [sheet];
    } catch {
      const style = el("style", tag.nonce ? { nonce: tag.nonce } : {});
      style.textContent = css;
      root.prepend(style);
    }
  }

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
    if (ofThisTab.getItem(`${KEY}:open`)) open(false);
    connect();
    flush();
  }

  window.HandoffDesk = {
    open: () => open(),
    close,
    ask(text) {
      open();
      send(String(text));
    },
  };
  if (document.body) begin();
  else document.addEventListener("DOMContentLoaded", begin);
})();
