// The sandbox's page: a small Telegram client over /sim. Text from people and the bot is only ever
// put in with textContent; nothing here builds markup from strings.

const $ = (id) => document.getElementById(id);
const COLORS = ["#e17076", "#eda86c", "#a695e7", "#7bc862", "#6ec9cb", "#65aadd", "#ee7aae"];
const QUICK = ["👍", "❤", "👌", "👀", "🎉", "🙏"];
const state = {
  user: null, users: [], rows: [], commands: {}, open: null, messages: [], change: 0, epoch: "",
  reply: null, editing: null, hint: 0, busyUntil: 0, drafts: new Map(), loading: 0,
};

function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

async function get(path, parameters = {}) {
  const answer = await fetch(`/sim/${path}?${new URLSearchParams(parameters)}`);
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer.json();
}

async function post(path, body) {
  const answer = await fetch(`/sim/${path}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.error);
  return result;
}

// Does something a person asked for; a refusal becomes a toast, so nothing fails in silence.
async function attempt(deed) {
  try {
    return await deed();
  } catch (error) {
    toast(error instanceof TypeError ? "The sandbox does not answer." : error.message);
    return null;
  }
}

function toast(text) {
  const node = h("div", { class: "toast" });
  node.textContent = text;
  $("toasts").append(node);
  setTimeout(() => node.remove(), 2500 + 40 * text.length);
}

function initials(name) {
  const words = name.replace(/[^\p{L}\p{N} ]/gu, "").split(" ").filter(Boolean);
  return words.slice(0, 2).map((word) => [...word][0].toUpperCase()).join("") || "#";
}

function avatar(node, name, id, topicColor = 0) {
  node.className = topicColor ? "avatar topic" : "avatar";
  node.textContent = topicColor ? [...name.trim()][0]?.toUpperCase() ?? "#" : initials(name);
  node.style.background = topicColor
    ? `#${topicColor.toString(16).padStart(6, "0")}` : COLORS[Math.abs(id) % COLORS.length];
  return node;
}

const clock = (date) =>
  new Date(date * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const dayOf = (date) => new Date(date * 1000).toDateString();

function dayName(date) {
  const day = new Date(date * 1000);
  const options = { month: "long", day: "numeric" };
  if (day.getFullYear() !== new Date().getFullYear()) options.year = "numeric";
  return dayOf(date) === new Date().toDateString() ? "Today" : day.toLocaleDateString([], options);
}

// --- left side -------------------------------------------------------------------------------

async function loadOverview() {
  const ask = ++state.loading;
  const view = await get("overview", { user_id: state.user.id });
  if (ask !== state.loading) return;
  state.rows = view.rows;
  state.commands = view.commands;
  drawRows();
  drawChatBar();
}

const sameChat = (a, b) => a && b && a.chat_id === b.chat_id && a.topic_id === b.topic_id;
const openRow = () => state.rows.find((row) => sameChat(row, state.open));

function drawRows() {
  const byTime = (a, b) => (b.last?.date ?? 0) - (a.last?.date ?? 0) || b.topic_id - a.topic_id;
  const groups = [...new Set(state.rows.map((row) => row.group))];
  const nodes = [];
  for (const group of groups) {
    const rows = state.rows.filter((row) => row.group === group).sort(byTime);
    const head = h("div", { class: "group" }, h("span", {}, group ?? "Private chat with the bot"));
    if (group && rows[0].can_manage) {
      head.append(h("button", { type: "button", onclick: () => newTopic(rows[0].chat_id) }, "New topic"));
    }
    nodes.push(head, ...rows.map(drawRow));
  }
  $("rows").replaceChildren(...nodes);
  const unread = state.rows.reduce((sum, row) => sum + row.unread, 0);
  document.title = unread ? `(${unread}) Telegram sandbox` : "Telegram sandbox";
}

function drawRow(row) {
  const here = sameChat(row, state.open);
  const unread = here && chatShown() ? 0 : row.unread;
  const node = h("button", {
    type: "button", class: here ? "row on" : "row", "aria-current": here ? "true" : null,
    "data-chat": row.chat_id, "data-topic": row.topic_id, onclick: () => open(row),
  });
  node.append(
    drawRowAvatar(h("span"), row),
    h("span", { class: "words" },
      h("span", { class: "top" }, h("span", { class: "title" }, row.title),
        row.closed ? lock() : null, h("span", { class: "when" }, row.last ? clock(row.last.date) : "")),
      h("span", { class: "bottom" }, preview(row.last),
        unread ? h("span", { class: "badge" }, String(unread)) : null)),
  );
  return node;
}

function drawRowAvatar(node, row) {
  avatar(node, row.private || row.topic_id ? row.title : "#", row.chat_id, row.icon_color);
  if (row.private) node.style.background = "#3390ec";
  return node;
}

function lock() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "lock");
  const title = document.createElementNS(svg.namespaceURI, "title");
  title.textContent = "closed";
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", "M4 7V5a4 4 0 0 1 8 0v2h1v8H3V7zm2 0h4V5a2 2 0 0 0-4 0z");
  svg.append(title, path);
  return svg;
}

function preview(message) {
  const node = h("span", { class: "preview" });
  if (!message) return node;
  if (message.service) {
    node.textContent = message.service;
    return node;
  }
  const who = message.from.id === state.user.id ? "You" : message.from.name.split(" ")[0];
  const what = message.photo ? "🖼 " : message.document ? "📎 " : "";
  const words = message.text || (message.photo ? "Photo" : message.document?.name ?? "");
  node.append(h("b", {}, `${who}: `), `${what}${words.replace(/\s+/g, " ").slice(0, 120)}`);
  return node;
}

async function newTopic(chatId) {
  const name = await ask("Name of the new topic", "");
  if (!name) return;
  const topic = await attempt(() =>
    post("topics", { user_id: state.user.id, chat_id: chatId, name }));
  if (topic) open({ chat_id: chatId, topic_id: topic.topic_id });
}

// --- people ----------------------------------------------------------------------------------

function drawPeople() {
  avatar($("me-avatar"), state.user.name, state.user.id);
  $("me-name").textContent = state.user.name;
  $("people").replaceChildren(...state.users.map((user) => {
    const choose = () => become(user);
    const item = h("li", {
      role: "option", tabindex: "0", "aria-selected": String(user.id === state.user.id),
      "data-user": user.id, onclick: choose, onkeydown: (e) => e.key === "Enter" && choose(),
    });
    const words = h("span", {}, h("b", {}, user.name), h("small", {}, user.username ? `@${user.username}` : `id ${user.id}`));
    item.append(avatar(h("span"), user.name, user.id), words);
    return item;
  }));
}

function showPeople(shown) {
  $("people").hidden = !shown;
  $("me").setAttribute("aria-expanded", String(shown));
}

async function become(user) {
  showPeople(false);
  keepDraft();
  state.user = user;
  localStorage.setItem("sandbox-user", user.id);
  drawPeople();
  await attempt(loadOverview);
  const place = openRow() ?? (state.open?.chat_id > 0 ? state.rows.find((row) => row.private) : null);
  await open(place ?? state.rows[0], false);
}

// --- one chat --------------------------------------------------------------------------------

function keepDraft() {
  if (!state.open || state.editing) return;
  state.drafts.set(`${state.user.id}:${state.open.chat_id}:${state.open.topic_id}`, $("text").value);
}

async function open(row, show = true) {
  if (!row) return;
  if (!sameChat(row, state.open)) keepDraft();
  state.open = { chat_id: row.chat_id, topic_id: row.topic_id };
  history.replaceState(null, "", `#${row.chat_id}/${row.topic_id}`);
  if (show) document.body.classList.add("in-chat");
  setContext(null);
  $("text").value = state.drafts.get(`${state.user.id}:${row.chat_id}:${row.topic_id}`) ?? "";
  state.messages = [];
  drawRows();
  drawChatBar();
  await attempt(loadMessages);
  grow();
  if (matchMedia("(min-width: 761px)").matches) $("text").focus();
}

async function loadMessages() {
  const place = state.open;
  const messages = await get("messages", place);
  if (place !== state.open) return;
  state.messages = messages;
  drawMessages();
  toEnd();
  markRead();
}

function drawChatBar() {
  const row = openRow();
  if (!row) return;
  drawRowAvatar($("chat-avatar"), row);
  $("chat-title").textContent = row.title;
  const busy = Date.now() < state.busyUntil;
  const note = row.private ? "bot" : `topic in ${row.group}${row.closed ? ", closed" : ""}`;
  $("chat-note").textContent = busy ? "typing…" : row.topic_id || row.private ? note : row.group;
  $("chat-note").classList.toggle("busy", busy);
  $("chat-menu").hidden = !(row.topic_id && row.can_manage);
  $("start").hidden = row.started && !row.blocked;
  $("closed").hidden = row.can_write;
  $("composer").hidden = !row.can_write || !row.started || row.blocked;
}

function drawMessages() {
  const nodes = [];
  let previous = null;
  for (const [index, message] of state.messages.entries()) {
    const next = state.messages[index + 1];
    if (!previous || dayOf(previous.date) !== dayOf(message.date)) {
      nodes.push(h("div", { class: "service" }, dayName(message.date)));
    }
    nodes.push(message.service ? drawService(message) : drawMessage(message, previous, next));
    previous = message;
  }
  if (!nodes.length) nodes.push(h("div", { class: "empty" }, "No messages here yet"));
  $("messages").replaceChildren(...nodes);
}

function drawService(message) {
  return h("div", { class: "service", "data-id": message.message_id }, message.service);
}

const together = (a, b) =>
  a && b && !a.service && !b.service && a.from.id === b.from.id && b.date - a.date < 300;

function drawMessage(message, previous, next) {
  const own = message.from.id === state.user.id;
  const first = !together(previous, message);
  const last = !together(message, next);
  const line = h("div", {
    class: `line-item${own ? " own" : ""}${first ? " first" : ""}${last ? " last" : ""}`,
    "data-id": message.message_id,
  });
  line.addEventListener("contextmenu", (event) => showMenu(event, message));
  if (!own && state.open.chat_id < 0) {
    const face = avatar(h("span"), message.from.name, message.from.id);
    face.style.background = colorOf(message.from);
    if (!last) face.classList.add("blank");
    line.append(face);
  }
  const stack = h("div", { class: message.buttons.length ? "stack with-keys" : "stack" });
  stack.append(drawBubble(message, own, first));
  if (message.buttons.length) stack.append(drawKeys(message));
  const more = h("button", { type: "button", class: "more", "aria-label": "Message menu" }, "⋯");
  more.addEventListener("click", (event) => showMenu(event, message));
  line.append(stack, more);
  return line;
}

function drawBubble(message, own, first) {
  const bubble = h("div", { class: "bubble" });
  if (!own && first && state.open.chat_id < 0) bubble.append(drawName(message.from));
  if (message.reply_to) bubble.append(drawQuote(message.reply_to));
  if (message.photo) bubble.append(drawPhoto(message.photo));
  if (message.document) bubble.append(drawFile(message.document));
  const body = h("div", { class: "body" });
  body.append(drawText(message.text, message.entities));
  const stamp = `${message.pinned ? "📌 " : ""}${message.edited ? "edited " : ""}${clock(message.date)}`;
  body.append(h("span", { class: "stamp" }, stamp));
  bubble.append(body);
  if (message.reactions.length) bubble.append(drawReactions(message));
  return bubble;
}

const colorOf = (from) => from.is_bot ? "#3390ec" : COLORS[Math.abs(from.id) % COLORS.length];

function drawName(from) {
  const node = h("div", { class: "who" }, from.name);
  node.style.color = colorOf(from);
  if (from.is_bot) node.append(h("span", { class: "tag" }, "bot"));
  if (from.anonymous) node.append(h("span", { class: "tag" }, "anonymous admin"));
  return node;
}

function drawQuote(reply) {
  return h("button", { type: "button", class: "quote", onclick: () => jumpTo(reply.message_id) },
    h("b", {}, reply.from), h("span", {}, reply.text));
}

function jumpTo(id) {
  const node = document.querySelector(`#messages [data-id="${id}"]`);
  if (!node) return;
  node.scrollIntoView({ block: "center", behavior: "smooth" });
  node.classList.add("flash");
  setTimeout(() => node.classList.remove("flash"), 1300);
}

function drawPhoto(url) {
  const image = h("img", { src: url, alt: "Photo" });
  image.addEventListener("load", () => state.atEnd && toEnd());
  return h("button", { type: "button", class: "photo", onclick: () => view(url) }, image);
}

function view(url) {
  $("viewer-image").src = url;
  $("viewer").showModal();
}

function drawFile(file) {
  const size = file.size < 1024 ? `${file.size} B` : `${(file.size / 1024).toFixed(1)} KB`;
  return h("a", { class: "file", href: file.url, download: file.name },
    h("span", {}, "📄"), h("span", {}, h("b", {}, file.name), h("small", {}, size)));
}

function drawReactions(message) {
  const counts = new Map();
  for (const { emoji, user_id } of message.reactions) {
    const entry = counts.get(emoji) ?? { count: 0, mine: false };
    counts.set(emoji, { count: entry.count + 1, mine: entry.mine || user_id === state.user.id });
  }
  const nodes = [...counts].map(([emoji, { count, mine }]) => h("button", {
    type: "button", class: mine ? "mine" : "", onclick: () => react(message, mine ? null : emoji),
  }, count > 1 ? `${emoji} ${count}` : emoji));
  return h("div", { class: "reactions" }, ...nodes);
}

function drawKeys(message) {
  return h("div", { class: "keys" }, ...message.buttons.map((row) =>
    h("div", {}, ...row.map((button) => drawKey(message, button)))));
}

function drawKey(message, button) {
  if (button.url) {
    return h("a", { href: safeUrl(button.url), target: "_blank", rel: "noopener noreferrer" }, `${button.text} ↗`);
  }
  const node = h("button", { type: "button" }, button.text);
  node.addEventListener("click", () => press(node, message, button));
  return node;
}

async function press(node, message, button) {
  if (button.copy_text) {
    await attempt(() => navigator.clipboard.writeText(button.copy_text.text));
    return;
  }
  node.classList.add("busy");
  const answer = await attempt(() => post("press", {
    user_id: state.user.id, chat_id: message.chat_id, message_id: message.message_id,
    callback_data: button.callback_data, wait: 15,
  }));
  node.classList.remove("busy");
  if (!answer) return;
  if (!answer.answered) toast("The bot has not answered the button yet.");
  else if (answer.text && answer.show_alert) showAlert(answer.text);
  else if (answer.text) toast(answer.text);
}

function showAlert(text) {
  $("alert-text").textContent = text;
  $("alert").showModal();
}

// Asks for a line of text, or only for a yes when `value` is null. Empty: cancelled.
function ask(text, value) {
  const dialog = $("ask");
  $("ask-text").textContent = text;
  $("ask-input").hidden = value === null;
  $("ask-input").value = value ?? "";
  dialog.returnValue = "no";
  dialog.showModal();
  (value === null ? $("ask-yes") : $("ask-input")).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const yes = dialog.returnValue === "yes";
      resolve(yes ? (value === null ? "yes" : $("ask-input").value.trim()) : "");
    }, { once: true });
  });
}

// --- text with entities ----------------------------------------------------------------------
// JavaScript strings count in UTF-16 units, as Telegram's offsets do, so slice() fits as it is.

function drawText(text, entities) {
  const sorted = [...entities].sort((a, b) => a.offset - b.offset || b.length - a.length);
  return drawRange(text, sorted, 0, text.length);
}

function drawRange(text, entities, start, end) {
  const fragment = document.createDocumentFragment();
  let position = start;
  for (let i = 0; i < entities.length; i += 1) {
    const entity = entities[i];
    const from = Math.max(entity.offset, position);
    const to = Math.min(entity.offset + entity.length, end);
    if (from >= to) continue;
    fragment.append(text.slice(position, from));
    const node = drawEntity(entity, text.slice(from, to));
    node.append(drawRange(text, entities.slice(i + 1), from, to));
    fragment.append(node);
    // A block breaks the line by itself; the line break in the text would show as an empty line.
    position = BLOCKS.has(node.tagName) && text[to] === "\n" ? to + 1 : to;
  }
  fragment.append(text.slice(position, end));
  return fragment;
}

const TAGS = {
  bold: "b", italic: "i", underline: "u", strikethrough: "s", code: "code", pre: "pre",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};

const BLOCKS = new Set(["PRE", "BLOCKQUOTE"]);

function drawEntity(entity, words) {
  if (TAGS[entity.type]) return h(TAGS[entity.type]);
  if (entity.type === "url" || entity.type === "text_link" || entity.type === "email") {
    const url = entity.type === "email" ? `mailto:${words}` : entity.url ?? words;
    return h("a", { href: safeUrl(url), target: "_blank", rel: "noopener noreferrer" });
  }
  if (entity.type === "bot_command") {
    return h("a", { href: "#", onclick: (event) => { event.preventDefault(); send(words); } });
  }
  if (entity.type === "spoiler") {
    return h("span", { class: "spoiler", onclick: (e) => e.currentTarget.classList.add("shown") });
  }
  return h("span", { class: "link" });
}

function safeUrl(url) {
  const full = /^[a-z]+:/i.test(url) ? url : `https://${url}`;
  return /^(https?|mailto|tg):/i.test(full) ? full : "#";
}

// --- menus -----------------------------------------------------------------------------------

function showMenu(event, message) {
  event.preventDefault();
  event.stopPropagation();
  const menu = $("menu");
  const mine = message.from.id === state.user.id;
  const row = openRow();
  const deed = (label, run, danger) => h("button", {
    type: "button", class: danger ? "danger" : "", onclick: () => { menu.hidden = true; run(); },
  }, label);
  const emojis = h("div", { class: "emojis" }, ...QUICK.map((emoji) => deed(emoji, () => react(message, emoji))));
  const deeds = [emojis];
  if (row?.can_write) deeds.push(deed("Reply", () => setContext({ reply: message })));
  if (message.text) deeds.push(deed("Copy text", () => attempt(() => navigator.clipboard.writeText(message.text))));
  if (mine && !message.photo) deeds.push(deed("Edit", () => setContext({ editing: message })));
  if (mine || row?.can_manage || row?.private) deeds.push(deed("Delete", () => remove(message), true));
  menu.replaceChildren(...deeds);
  menu.hidden = false;
  place(menu, event.clientX, event.clientY);
}

function place(menu, x, y) {
  menu.style.position = "fixed";
  menu.style.left = `${Math.max(8, Math.min(x, innerWidth - menu.offsetWidth - 8))}px`;
  menu.style.top = `${Math.max(8, Math.min(y, innerHeight - menu.offsetHeight - 8))}px`;
}

const about = (message) => ({
  user_id: state.user.id, chat_id: message.chat_id, message_id: message.message_id,
});
const react = (message, emoji) => attempt(() => post("react", { ...about(message), emoji }));
const remove = (message) => attempt(() => post("delete", about(message)));

function showTopicMenu(event) {
  event.stopPropagation();
  const row = openRow();
  const body = () => ({ user_id: state.user.id, ...state.open });
  const item = (label, run, danger) => h("button", {
    type: "button", class: danger ? "danger" : "", onclick: () => { $("chat-deeds").hidden = true; run(); },
  }, label);
  $("chat-deeds").replaceChildren(
    item(row.closed ? "Reopen topic" : "Close topic",
      () => attempt(() => post(row.closed ? "topics/reopen" : "topics/close", body()))),
    item("Delete topic", async () => {
      const yes = await ask(`Delete the topic “${row.title}” with all its messages?`, null);
      if (yes) attempt(() => post("topics/delete", body()));
    }, true),
  );
  $("chat-deeds").hidden = !$("chat-deeds").hidden;
}

// --- writing ---------------------------------------------------------------------------------

function setContext(context) {
  const was = state.editing;
  state.reply = context?.reply ?? null;
  state.editing = context?.editing ?? null;
  const message = state.reply ?? state.editing;
  $("context").hidden = !message;
  if (message) {
    $("context-title").textContent = state.editing ? "Edit message" : `Reply to ${message.from.name}`;
    $("context-text").textContent = message.text || (message.photo ? "Photo" : "Message");
    if (state.editing) $("text").value = message.text;
    $("text").focus();
  } else if (was) {
    $("text").value = "";
  }
  grow();
}

async function send(text) {
  const words = text.trim();
  if (!words) return false;
  const { reply, editing } = state;
  const sent = await attempt(() => editing
    ? post("edit", { ...about(editing), text: words })
    : post("messages", {
      user_id: state.user.id, ...state.open, text: words, ...(reply ? { reply_to: reply.message_id } : {}),
    }));
  if (!sent) return false;
  setContext(null);
  state.atEnd = true;
  return true;
}

async function submit() {
  const field = $("text");
  const words = field.value;
  field.value = "";
  grow();
  // What was refused comes back into the field, so nothing typed is lost.
  if (words.trim() && !(await send(words)) && !field.value) field.value = words;
  grow();
}

async function sendPhoto(file) {
  if (!file || !state.open) return;
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let i = 0; i < bytes.length; i += 32768) {
    binary += String.fromCharCode(...bytes.subarray(i, i + 32768));
  }
  const caption = $("text").value.trim();
  const body = { user_id: state.user.id, ...state.open, photo_base64: btoa(binary), caption };
  if (state.reply) body.reply_to = state.reply.message_id;
  if (await attempt(() => post("photos", body))) {
    $("text").value = "";
    setContext(null);
  }
}

function grow() {
  const field = $("text");
  field.style.height = "auto";
  field.style.height = `${Math.min(200, field.scrollHeight)}px`;
  drawHints();
}

function hintsFor(text) {
  if (!state.open || !/^\/[a-z0-9_]*$/i.test(text)) return [];
  const menu = state.commands[String(state.open.chat_id)] ?? [];
  return menu.filter((item) => `/${item.command}`.startsWith(text.toLowerCase()));
}

function drawHints() {
  const found = hintsFor($("text").value);
  state.hint = Math.min(state.hint, Math.max(0, found.length - 1));
  $("hints").hidden = !found.length;
  $("hints").replaceChildren(...found.map((item, index) => h("li", {
    role: "option", class: index === state.hint ? "on" : "",
    onmousedown: (event) => { event.preventDefault(); $("text").value = ""; grow(); send(`/${item.command}`); },
  }, h("b", {}, `/${item.command}`), h("span", {}, item.description))));
  $("hints").querySelector(".on")?.scrollIntoView({ block: "nearest" });
}

function onKey(event) {
  const found = hintsFor($("text").value);
  if (found.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    state.hint = (state.hint + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length;
    drawHints();
  } else if (found.length && event.key === "Tab") {
    event.preventDefault();
    $("text").value = `/${found[state.hint].command} `;
    grow();
  } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (found.length) $("text").value = `/${found[state.hint].command}`;
    submit();
  } else if (event.key === "Escape") {
    setContext(null);
  }
}

// --- staying up to date ----------------------------------------------------------------------

function toEnd() {
  const box = $("messages");
  box.scrollTop = box.scrollHeight;
  state.atEnd = true;
  $("down").hidden = true;
}

function onScroll() {
  const box = $("messages");
  state.atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  $("down").hidden = state.atEnd;
  if (state.atEnd) markRead();
}

// On a phone the list covers the chat; what nobody can see is not read.
const chatShown = () => !document.hidden
  && (document.body.classList.contains("in-chat") || matchMedia("(min-width: 761px)").matches);

async function markRead() {
  const last = state.messages.at(-1);
  if (!last || !chatShown() || state.marked === `${state.user.id}:${last.chat_id}:${last.message_id}`) return;
  state.marked = `${state.user.id}:${last.chat_id}:${last.message_id}`;
  await attempt(() => post("read", { ...about(last), topic_id: last.topic_id }));
}

function applyChange(change) {
  const here = sameChat(change, state.open);
  if (change.kind === "chat_action" && here) {
    state.busyUntil = Date.now() + 5000;
    setTimeout(drawChatBar, 5100);
    return false;
  }
  if (change.kind === "topic" && change.deleted && here) {
    toast("This topic was deleted.");
    document.body.classList.remove("in-chat");
    open(state.rows.find((row) => !sameChat(row, state.open)), false);
    return false;
  }
  if (!here || !["message", "edit", "reaction", "delete"].includes(change.kind)) return false;
  const index = state.messages.findIndex((m) => m.message_id === change.message_id);
  if (change.kind === "delete" || !change.message) {
    if (index >= 0) state.messages.splice(index, 1);
  } else if (index >= 0) state.messages[index] = change.message;
  else if (change.kind === "message") {
    state.messages.push(change.message);
    state.messages.sort((a, b) => a.message_id - b.message_id);
    if (change.message.from.is_bot) state.busyUntil = 0;
    if (change.message.asks_reply) setContext({ reply: change.message });
  }
  return true;
}

async function follow() {
  for (;;) {
    try {
      const view = await get("changes", { after: state.change, epoch: state.epoch, timeout: 25 });
      $("offline").hidden = true;
      state.change = view.last;
      state.epoch = view.epoch;
      if (view.reset) await refresh();
      else if (view.changes.length) await applyChanges(view.changes);
    } catch {
      $("offline").hidden = false;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

async function applyChanges(changes) {
  const wasAtEnd = state.atEnd;
  const redraw = changes.map(applyChange).some(Boolean);
  if (redraw) {
    drawMessages();
    if (wasAtEnd) { toEnd(); markRead(); } else $("down").hidden = false;
  }
  if (changes.some((change) => change.kind === "user")) await loadUsers();
  await loadOverview();
}

async function loadUsers() {
  state.users = await get("users");
  state.user = state.users.find((user) => user.id === state.user?.id) ?? state.users[0];
  drawPeople();
}

async function refresh() {
  await loadUsers();
  await loadOverview();
  await open(openRow() ?? state.rows[0], false);
}

async function begin() {
  state.users = await get("users");
  const asked = Number(new URLSearchParams(location.search).get("user") ?? localStorage.getItem("sandbox-user"));
  state.user = state.users.find((user) => user.id === asked) ?? state.users[0];
  drawPeople();
  const view = await get("overview", { user_id: state.user.id });
  Object.assign(state, { rows: view.rows, commands: view.commands, change: view.change, epoch: view.epoch });
  const [chat, topic] = location.hash.slice(1).split("/").map(Number);
  const wanted = state.rows.find((row) => row.chat_id === chat && row.topic_id === topic);
  await open(wanted ?? state.rows[0], Boolean(wanted));
  follow();
}

$("me").addEventListener("click", (event) => { event.stopPropagation(); showPeople($("people").hidden); });
$("back").addEventListener("click", () => document.body.classList.remove("in-chat"));
$("chat-menu").addEventListener("click", showTopicMenu);
$("composer").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
$("text").addEventListener("input", () => { state.hint = 0; grow(); });
$("text").addEventListener("keydown", onKey);
$("photo").addEventListener("change", (event) => { sendPhoto(event.target.files[0]); event.target.value = ""; });
$("text").addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((item) => item.type.startsWith("image/"));
  if (file) { event.preventDefault(); sendPhoto(file); }
});
$("context-drop").addEventListener("click", () => setContext(null));
$("start").addEventListener("click", () => send("/start"));
$("messages").addEventListener("scroll", onScroll);
$("down").addEventListener("click", toEnd);
$("viewer").addEventListener("click", () => $("viewer").close());
document.addEventListener("click", () => {
  for (const id of ["menu", "chat-deeds"]) $(id).hidden = true;
  showPeople(false);
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") document.body.click(); });
document.addEventListener("visibilitychange", () => { markRead(); drawRows(); });
begin().catch((error) => toast(error.message));
