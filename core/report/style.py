"""How the pages look: one style sheet, light and dark, from a phone to a wide screen."""

STYLE = """
:root {
  --ground: #f5f6f8; --card: #fff; --ink: #16202c; --soft: #5b6876; --line: #dfe3e8; --tint: #eaf1f8;
  --accent: #0b6bb8; --good: #1a7f4b; --warn: #8a5800; --bad: #b3261e;
  --shade: 0 1px 2px rgba(20, 30, 45, .06), 0 4px 16px rgba(20, 30, 45, .05);
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0f141a; --card: #18202a; --ink: #e6ebf1; --soft: #9aa7b5; --line: #2a3542; --tint: #1d2b3a;
    --accent: #6cb6f5; --good: #5cc98e; --warn: #e0ac4a; --bad: #ff8a80; --shade: none;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 56px; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
h1 {
  font-size: clamp(1.5rem, 1.1rem + 1.8vw, 2.2rem); line-height: 1.2; letter-spacing: -.015em;
  margin: .35em 0 .2em; text-wrap: balance;
}
h2 { font-size: 1.15rem; margin: 0 0 12px; }
p { margin: .3em 0; }
ul { list-style: none; margin: 0; padding: 0; }
figure { margin: 0; }
.soft { color: var(--soft); }
.small { font-size: .86rem; }
.top { display: flex; flex-wrap: wrap; gap: 6px 12px; color: var(--soft); font-size: .9rem; }
.top b { color: var(--ink); }
.top nav { margin-left: auto; display: flex; gap: 14px; }
.badge {
  display: inline-block; align-self: start; border: 1px solid; border-radius: 99px; padding: 1px 10px;
  font-size: .78rem; font-weight: 600; white-space: nowrap;
}
.good { color: var(--good); }
.warn { color: var(--warn); }
.bad { color: var(--bad); }
section, .figure {
  background: var(--card); border: 1px solid var(--line); border-radius: 14px; box-shadow: var(--shade);
}
section { padding: 18px 20px; margin: 16px 0; }
.alert { border-left: 4px solid var(--bad); overflow-wrap: anywhere; }
.figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 12px; margin: 18px 0;
}
.figure { padding: 12px 16px; }
.figure b { display: block; font-size: 1.55rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.figure span { color: var(--soft); font-size: .86rem; }
.name, .id { overflow-wrap: anywhere; unicode-bidi: isolate; }
.id { color: var(--soft); font: .84rem ui-monospace, monospace; }
.rows li {
  display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 14px; padding: 8px 0;
  border-top: 1px solid var(--line);
}
.rows li:first-child { border-top: 0; }
.rows .name { font-weight: 550; }
.rows .id { max-width: 9em; text-align: right; }
.rows .much { color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
.rows .why { grid-column: 1 / -1; color: var(--soft); font-size: .9rem; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 124px), 1fr)); gap: 16px 12px; }
@media (min-width: 700px) { .tiles { grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); } }
.tiles + .rows { margin-top: 16px; border-top: 1px solid var(--line); }
.tile { display: block; min-width: 0; }
.frame {
  display: flex; align-items: center; justify-content: center; aspect-ratio: 16 / 9; overflow: hidden;
  border-radius: 10px; background: var(--tint); color: var(--soft);
  font-size: .8rem; font-weight: 650; letter-spacing: .06em;
}
.frame img { display: block; width: 100%; height: 100%; object-fit: cover; object-position: 0 50%; }
.tile:hover img { animation: film 4s steps(10, jump-none) infinite; }
@keyframes film { to { object-position: 100% 50%; } }
@media (prefers-reduced-motion: reduce) { .tile:hover img { animation: none; } }
.tile .name {
  display: block; margin-top: 6px; font-size: .86rem; font-weight: 550;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
}
.tile .small { display: block; color: var(--soft); font-size: .78rem; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 16px; }
.two section { margin: 0; }
figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: baseline; gap: 2px 12px; }
figcaption h2 { margin: 0; }
figcaption b { font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.plot {
  position: relative; height: 150px; margin-top: 12px;
  border-top: 1px dashed var(--line); border-bottom: 1px solid var(--line);
}
.plot svg { display: block; width: 100%; height: 100%; overflow: visible; }
.most { position: absolute; top: 2px; left: 0; font-size: .75rem; color: var(--soft); }
.area { fill: var(--accent); opacity: .14; }
.curve { fill: none; stroke: var(--accent); stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.axis { display: flex; justify-content: space-between; margin-top: 4px; color: var(--soft); font-size: .75rem; }
details { margin-top: 10px; font-size: .86rem; }
summary { cursor: pointer; color: var(--soft); }
table { width: 100%; margin-top: 8px; border-collapse: collapse; font-variant-numeric: tabular-nums; }
td { padding: 4px 0; border-top: 1px solid var(--line); text-align: right; }
td:first-child { text-align: left; }
.months { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 132px), 1fr)); gap: 10px; }
@media (min-width: 700px) { .months { grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); } }
.months a { border: 1px solid var(--line); border-radius: 10px; padding: 9px 12px; color: var(--ink); }
.months a:hover { border-color: var(--accent); text-decoration: none; }
.months b { font-size: .9rem; }
.months span { display: block; color: var(--soft); font-size: .82rem; }
footer { margin-top: 28px; color: var(--soft); font-size: .82rem; }
"""
