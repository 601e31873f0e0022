// Shows what /api/v1 says. Texts of servers reach the page through textContent only, never as HTML.
"use strict";

const base = document.documentElement.dataset.base + "/api/v1";
const PERIOD = 2000;
let shown = "";
let open = new Map();

const at = (id) => document.getElementById(id);

/** An element with a class and children; texts become text nodes. */
function make(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== "") element.append(child);
  }
  return element;
}

const tag = (text, kind) => make("span", "tag " + (kind || ""), text);
const dot = (kind) => make("span", "dot " + kind);
const where = (server) => (server ? server.address || server.id : "");
const plural = (number, word) => number + " " + word + (number === 1 ? "" : "s");

async function fetchJson(path) {
  const answer = await fetch(base + path, { headers: { accept: "application/json" } });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail || answer.statusText);
  return body;
}

/** Every part of a list that comes in parts. */
async function fetchAll(path) {
  const items = [];
  for (let skip = 0; skip !== null; ) {
    const page = await fetchJson(path + "?limit=1000&skip=" + skip);
    items.push(...page.items);
    skip = page.next_skip;
  }
  return items;
}

function span(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 1000) return ms + " ms";
  if (ms < 120000) return (ms / 1000).toFixed(ms < 10000 ? 1 : 0) + " s";
  if (ms < 7200000) return Math.round(ms / 60000) + " min";
  return Math.round(ms / 3600000) + " h";
}

function time(text) {
  const element = make("time", "", new Date(text).toLocaleString());
  element.dateTime = text;
  return element;
}

function showNode(node) {
  const parts = [
    node.name,
    node.is_leader ? "leads, epoch " + node.lease_epoch : "follows " + (node.leader || "nobody"),
    "store " + node.store + (node.store_problem ? ": " + node.store_problem : ""),
    "recoveries " + (node.recoveries_enabled === true ? "on" : node.recoveries_enabled === false ? "off" : "off (unreadable)"),
    node.policy,
    "version " + node.version,
  ];
  at("node").textContent = parts.join(" · ");
}

function showClusters(clusters, strays) {
  const rank = { critical: 0, recovering: 1, warning: 2, notice: 3, ok: 4 };
  clusters.sort((a, b) => rank[a.status] - rank[b.status] || a.name.localeCompare(b.name));
  if (!clusters.some((cluster) => cluster.id === shown)) shown = clusters.length ? clusters[0].id : "";
  const links = clusters.map((cluster) => {
    const health = cluster.servers_answering + "/" + cluster.servers + " answer";
    const text = [cluster.primary ? where(cluster.primary) : "no primary", health];
    if (cluster.findings) text.push(plural(cluster.findings, "finding"));
    const link = make("a", "", dot(cluster.status), make("b", "", cluster.name), make("small", "", text.join(" · ")));
    link.href = "#" + encodeURIComponent(cluster.id);
    link.title = cluster.status;
    if (cluster.id === shown) link.setAttribute("aria-current", "true");
    return link;
  });
  const lost = strays.map((stray) => make("p", "quiet", make("span", "mono", stray.address), " never answered: " + stray.failure));
  at("clusters").replaceChildren(...(links.length ? links : [make("p", "quiet", "No cluster is known yet.")]), ...lost);
}

const SHADES = { answering: "ok", partial: "warning", silent: "critical", "not-probed": "unknown" };

function serverLine(server) {
  const facts = server.facts;
  const channel = server.channels[0];
  const line = make("div", "server", dot(SHADES[server.probe.state]), make("code", "", server.address));
  line.append(tag(server.role, server.role === "primary" ? "ok" : ""));
  if (facts) line.append(tag(facts.read_only ? "read-only" : "writable", !facts.read_only && server.role !== "primary" ? "warning" : ""));
  if (server.probe.failure) line.append(tag(server.probe.failure, "critical"));
  for (const one of server.channels) {
    const runs = one.receiver === "running" && one.applier === "running";
    if (!runs) line.append(tag("receiver " + one.receiver + ", applier " + one.applier, "warning"));
  }
  if (channel && channel.lag_ms > 1000) line.append(tag("lag " + span(channel.lag_ms), channel.lag_ms > 10000 ? "warning" : ""));
  if (server.errant) line.append(tag("errant transactions", "warning"));
  if (server.quarantined) line.append(tag("quarantined", "critical"));
  if (server.downtime) line.append(tag("downtime: " + server.downtime.reason, "notice"));
  if (server.maintenance) line.append(tag("maintenance", "notice"));
  if (server.promotion !== "neutral") line.append(tag(server.promotion));
  const details = [facts && facts.version_text, server.place.data_center];
  if (server.probe.round_trip_us !== null) details.push((server.probe.round_trip_us / 1000).toFixed(1) + " ms");
  line.append(make("small", "", details.filter(Boolean).join(" · ")));
  return line;
}

/** The tree from the primary; whatever hangs elsewhere follows, so that no server is left out. */
function tree(cluster) {
  const byId = new Map(cluster.servers.map((server) => [server.id, server]));
  const seen = new Set();
  const branch = (server) => {
    seen.add(server.id);
    const item = make("li", "", serverLine(server));
    const below = server.replicas.map((one) => byId.get(one.id)).filter((one) => one && !seen.has(one.id));
    const items = below.filter((one) => !seen.has(one.id)).map(branch);
    if (items.length) item.append(make("ul", "tree", items));
    return item;
  };
  const isRoot = (server) => !server.channels.some((channel) => channel.source && byId.has(channel.source.id));
  const primary = cluster.primary && byId.get(cluster.primary.id);
  const order = [primary, ...cluster.servers.filter(isRoot), ...cluster.servers].filter(Boolean);
  const list = make("ul", "tree");
  for (const server of order) if (!seen.has(server.id)) list.append(branch(server));
  return list;
}

function reasons(list) {
  return list.length ? make("ul", "", list.map((one) => make("li", "", one.text))) : null;
}

function findings(cluster) {
  if (!cluster.findings.length) return make("p", "quiet", "Nothing is wrong.");
  return cluster.findings.map((one) =>
    make("div", "entry " + one.severity,
      make("div", "line", make("b", "", one.code), make("span", "mono", where(one.server)), tag(one.severity, one.severity),
        one.recovery ? tag("answered by " + one.recovery) : null),
      reasons(one.evidence)));
}

const INTENTIONS = {
  nothing: "It would do nothing: nothing is wrong that a recovery could answer.",
  recovering: "A recovery is under way.",
  act: "It would act at once.",
  wait: "It waits for evidence, or for a time that the policy asked for.",
  hold: "It holds back although something is wrong.",
};
const LOSSES = {
  none: "", "nothing-acknowledged": "Nothing acknowledged would be lost.",
};

function explanation(one) {
  const loss = one.expected_loss;
  const lost = loss.kind === "at-most" ? "At most " + plural(loss.transactions, "transaction") + " would be lost."
    : loss.kind === "unknown" ? "The loss cannot be told: " + loss.reason : LOSSES[loss.kind];
  const kind = one.intention.kind ? " (" + one.intention.kind + (one.intention.failed ? " of " + where(one.intention.failed) : "") + ")" : "";
  const parts = [make("p", "said", INTENTIONS[one.intention.action] + kind), lost ? make("p", "", lost) : null];
  const group = (title, shade, list) => list.length ? make("div", "entry " + shade, make("b", "", title), reasons(list)) : null;
  parts.push(group("Why", "", one.reasons), group("What stops it", "warning", one.obstacles));
  if (one.candidates.length) {
    const head = make("tr", "", [["number", "Rank"], ["", "Server"], ["number", "Missing"], ["number", "Not applied"], ["", "Why"]]
      .map(([kind, text]) => make("th", kind, text)));
    const number = (value) => make("td", "number", value === null ? "–" : String(value));
    const rows = one.candidates.map((c) => make("tr", "", number(c.rank), make("td", "mono whole", where(c.server)), number(c.missing),
      number(c.unapplied), make("td", "", c.reasons.map((r) => r.text.replace(/\.$/, "")).join("; "))));
    parts.push(make("table", "", make("thead", "", head), make("tbody", "", rows)));
  }
  parts.push(make("p", "quiet", "Asked: " + one.policy));
  return parts;
}

const OUTCOMES = { succeeded: "ok", running: "recovering", failed: "critical", unwound: "warning" };

function recovery(one) {
  const change = where(one.failed) + (one.successor ? " → " + where(one.successor) : "");
  const head = make("summary", "", make("span", "line", make("b", "", one.kind), make("span", "mono", change),
    tag(one.outcome, OUTCOMES[one.outcome]), one.automatic ? tag("automatic") : null, make("small", "", time(one.started_at), " ", span(one.duration_ms))));
  const details = make("details", "entry " + OUTCOMES[one.outcome], head);
  const fill = async () => {
    if (!details.open) return void open.delete(one.id);
    if (!open.has(one.id)) open.set(one.id, null);
    const known = open.get(one.id);
    if (known) details.append(known);
    // A journal of an ended recovery does not change any more.
    if (known && one.outcome !== "running") return;
    const steps = await fetchJson("/recoveries/" + encodeURIComponent(one.id) + "/steps");
    const rows = steps.map((step) => make("tr", "", make("td", "number", (step.since_trigger_us / 1000).toFixed(1) + " ms"),
      make("td", "", step.phase), make("td", "", tag(step.stage, step.stage === "failed" ? "critical" : "")), make("td", "", step.text)));
    const table = make("table", "", make("tbody", "", rows), one.errors.length ? make("caption", "", one.errors.join("; ")) : null);
    if (known) known.replaceWith(table); else details.append(table);
    open.set(one.id, table);
  };
  details.addEventListener("toggle", () => fill().catch(trouble));
  details.open = open.has(one.id);
  return details;
}

const section = (title, ...content) => make("section", "", make("h3", "", title), ...content);

async function showCluster() {
  const id = shown;
  if (!id) return at("cluster").replaceChildren(make("p", "quiet", "Discover a server to begin: baton discover db1.example:3306"));
  const path = "/clusters/" + encodeURIComponent(id);
  const [cluster, why, past] = await Promise.all([
    fetchJson(path), fetchJson(path + "/explanation").catch((error) => error), fetchJson(path + "/recoveries?limit=20"),
  ]);
  if (id !== shown) return;
  const facts = [cluster.status, cluster.automatic ? "recovered automatically" : "recovered by a person's order",
    "primary " + (cluster.primary ? where(cluster.primary) + " (" + cluster.primary_view.state + ")" : "unknown")];
  at("cluster").replaceChildren(
    make("h2", "", dot(cluster.status), cluster.name),
    make("p", "quiet", facts.join(" · ")),
    section("Topology", tree(cluster)),
    section("Findings", findings(cluster)),
    section("What Baton would do now", why instanceof Error ? make("p", "quiet", why.message) : explanation(why)),
    section("Recoveries", past.items.length ? past.items.map(recovery) : make("p", "quiet", "None.")),
  );
}

function trouble(error) {
  at("trouble").hidden = false;
  at("trouble").textContent = "This node cannot be asked: " + error.message;
}

async function refresh() {
  try {
    const [node, clusters, strays] = await Promise.all([fetchJson("/node"), fetchAll("/clusters"), fetchJson("/strays")]);
    showNode(node);
    showClusters(clusters, strays);
    await showCluster();
    at("trouble").hidden = true;
  } catch (error) {
    trouble(error);
  }
}

function choose() {
  shown = decodeURIComponent(location.hash.slice(1)) || shown;
}

async function follow() {
  for (;;) {
    // Nobody looks at a hidden page, so it asks nothing.
    if (!document.hidden) await refresh();
    await new Promise((done) => setTimeout(done, PERIOD));
  }
}

addEventListener("hashchange", () => { choose(); refresh(); });
choose();
follow();
