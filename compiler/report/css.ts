/** The style of the report: one column that fits a phone, light and dark by the reader's setting. */
export const css = `
:root { color-scheme: light dark; --ink: #1c2024; --muted: #60646c; --line: #dcdfe4; --ground: #fbfcfd; --card: #ffffff; --accent: #2a6fdb; --good: #18794e; --bad: #cd2b31;
  --c0: #3e7bfa; --c1: #f08c2e; --c2: #2f9e6e; --c3: #b659d6; --c4: #d6466f; --c5: #3aa5b8; --c6: #8a7a3a; --c7: #8b8f98; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --muted: #9ba1aa; --line: #33383f; --ground: #14171a; --card: #1b1f24; --accent: #70a5ff; --good: #4cc38a; --bad: #ff6369;
  --c0: #6b9dff; --c1: #f5a35a; --c2: #5cc496; --c3: #cd86e6; --c4: #ec7b9b; --c5: #65c5d6; --c6: #b8a760; --c7: #9ba1aa; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 28px 16px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -.01em; overflow-wrap: anywhere }
h2 { font-size: 18px; margin: 40px 0 4px } h3 { font-size: 14px; margin: 0 0 2px; overflow-wrap: anywhere }
p { margin: 4px 0 12px } .muted { color: var(--muted) } small { color: var(--muted) }
code, pre { font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace } code { overflow-wrap: anywhere }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px; overflow-x: auto; margin: 8px 0 }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 20px 0 8px }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; min-width: 0 }
.card b { display: block; font-size: 22px; line-height: 1.25; font-weight: 650; letter-spacing: -.01em } .card small { display: block }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 12px; margin-top: 10px }
.scroll { overflow-x: auto; margin: 8px 0 } table { border-collapse: collapse; width: 100%; font-size: 13.5px }
th { text-align: left; font-weight: 500; color: var(--muted); border-bottom: 1px solid var(--line); padding: 6px 14px 6px 0; white-space: nowrap; vertical-align: bottom }
td { border-bottom: 1px solid var(--line); padding: 6px 14px 6px 0; vertical-align: top; overflow-wrap: break-word } tr:last-child td { border-bottom: 0 }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } th:last-child, td:last-child { padding-right: 0 }
.mark { font-weight: 600 } .good { color: var(--good) } .bad { color: var(--bad) }
.dot { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 7px }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; color: var(--muted) } figure { margin: 10px 0 } svg { display: block; height: auto } .narrow { display: none }
details { margin: 10px 0 } summary { cursor: pointer; color: var(--accent) }
@media (max-width: 640px) { .wide { display: none } .narrow { display: block } main { padding-top: 18px } h1 { font-size: 22px } .figures { grid-template-columns: 1fr 1fr } .scroll table.broad { min-width: 560px } .card b { font-size: 18px } }
@media print { body { background: none } details { display: block } }
`;
