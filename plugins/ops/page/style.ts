/** How the page looks. Two themes with one set of names; every pair of text and ground has a contrast of 4.5 or more. */
export const style = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#f4f6f8, #0d1217);
  --card: light-dark(#ffffff, #151c23);
  --raised: light-dark(#f8fafb, #1b242d);
  --ink: light-dark(#17212b, #e4eaf0);
  --muted: light-dark(#516070, #9dabb9);
  --line: light-dark(#dce2e8, #27323d);
  --link: light-dark(#1d5bbf, #84b6ff);
  --good: light-dark(#19703f, #5fce8f);
  --warn: light-dark(#8a5300, #f0b54c);
  --bad: light-dark(#b3261e, #ff8a80);
  --good-ground: light-dark(#eaf6ef, #12251b);
  --warn-ground: light-dark(#fff5e0, #2a2112);
  --bad-ground: light-dark(#fdeceb, #321a1a);
  --danger: light-dark(#b3261e, #c9342b);
  --c1: light-dark(#1d5bbf, #6ea8ff);
  --c2: light-dark(#a0480a, #f2a65a);
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
}
[data-theme=light] { color-scheme: light }
[data-theme=dark] { color-scheme: dark }
* { box-sizing: border-box }
html { background: var(--ground); scroll-padding-top: 4rem }
body { margin: 0; color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100% }
[hidden] { display: none !important }
h1, h2, h3, p, ul, ol, dl, dd, pre { margin: 0; padding: 0 }
ul, ol { list-style: none }
h1 { font-size: 1.05rem; letter-spacing: .01em }
h2 { font-size: 1.1rem; line-height: 1.3 }
h3 { font-size: .95rem }
code, pre { font-family: var(--mono); font-size: .86rem }
a { color: var(--link) }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 4px }
section[tabindex]:focus { outline: none }
button { font: inherit; font-weight: 550; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 7px; padding: .3rem .8rem; min-height: 2.1rem; cursor: pointer }
button:hover { border-color: var(--muted) }
.skip { position: absolute; left: -999px }
.skip:focus { left: .5rem; top: .5rem; z-index: 3; background: var(--card); padding: .5rem }
.bar { position: sticky; top: 0; z-index: 2; display: flex; flex-wrap: wrap; align-items: center; gap: .35rem .8rem; padding: .55rem max(1rem, calc((100vw - 1280px) / 2)); background: var(--card); border-bottom: 1px solid var(--line) }
#about { color: var(--muted); font-size: .86rem; margin-right: auto }
#state { display: flex; align-items: center; gap: .45rem; font-size: .86rem }
#state i { width: .6rem; height: .6rem; border-radius: 50%; background: var(--good) }
#state[data-state=paused] i { background: var(--warn); border-radius: 1px }
#state[data-state=lost] { color: var(--bad); font-weight: 600 }
#state[data-state=lost] i { background: var(--bad) }
body[data-stale=true] main { opacity: .6 }
main { max-width: 1280px; margin: 0 auto; padding: 1rem; display: grid; gap: 1.6rem; grid-template-columns: minmax(0, 1fr) }
body:not([data-ready]) main > section:not(.verdict) { visibility: hidden }
.head { display: flex; flex-wrap: wrap; align-items: baseline; gap: .1rem .9rem; margin-bottom: .55rem }
.head p { color: var(--muted); font-size: .86rem }
.count { display: inline-block; min-width: 1.7em; padding: 0 .45em; margin-left: .3em; text-align: center; font-size: .86rem; font-weight: 600; border-radius: 1em; background: var(--card); border: 1px solid var(--line) }
.verdict { padding: .9rem 1.1rem; border-radius: 10px; border: 1px solid var(--line); border-left: 6px solid var(--line); background: var(--card) }
.verdict h2 { font-size: 1.35rem }
.verdict[data-level=good] { border-left-color: var(--good); background: var(--good-ground) }
.verdict[data-level=good] h2 { color: var(--good) }
.verdict[data-level=warn] { border-left-color: var(--warn); background: var(--warn-ground) }
.verdict[data-level=warn] h2 { color: var(--warn) }
.verdict[data-level=bad] { border-left-color: var(--bad); background: var(--bad-ground) }
.verdict[data-level=bad] h2 { color: var(--bad) }
.verdict li { margin-top: .4rem; padding-left: 1.2rem; position: relative }
.verdict li::before { content: ""; position: absolute; left: .15rem; top: .5rem; width: .55rem; height: .55rem; border-radius: 50%; background: var(--warn) }
.verdict li[data-level=bad]::before { background: var(--bad); border-radius: 1px; transform: rotate(45deg) }
.verdict a { color: inherit; font-weight: 600; text-decoration-color: var(--muted); text-underline-offset: 3px }
.verdict .advice { display: block; font-size: .9rem }
.told { padding: .6rem 1rem; border-radius: 8px; background: var(--good-ground); color: var(--good); font-weight: 600 }
.told[data-level=bad] { background: var(--bad-ground); color: var(--bad) }
.rows { display: grid; gap: .5rem; grid-template-columns: minmax(0, 1fr) }
.row { display: grid; grid-template-columns: 6.2rem minmax(0, 1fr) auto; gap: .2rem 1rem; align-items: start; padding: .75rem 1rem; background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--line); border-radius: 8px }
.row .age { font-size: 1.3rem; font-weight: 650; line-height: 1.25; white-space: nowrap }
.row[data-level=warn] { border-left-color: var(--warn) }
.row[data-level=warn] .age { color: var(--warn) }
.row[data-level=bad] { border-left-color: var(--bad) }
.row[data-level=bad] .age { color: var(--bad) }
.row[data-level=waits] { border-left-style: dashed }
.whose { font-weight: 600; overflow-wrap: anywhere }
.row .sql { display: block; margin-top: .1rem; max-height: 8.5rem; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere }
.meta { color: var(--muted); font-size: .86rem }
.stop { color: var(--bad); border-color: currentColor; min-width: 4.6rem; min-height: 2.4rem }
.stop:hover { color: #fff; background: var(--danger); border-color: var(--danger) }
.waiting { margin-top: .5rem; border: 1px dashed var(--line); border-radius: 8px }
.rows:empty + .waiting { margin-top: 0 }
.waiting summary { padding: .7rem 1rem; cursor: pointer; font-weight: 600; overflow-wrap: anywhere }
.waiting .rows { padding: 0 .6rem .6rem }
.rest, .empty { color: var(--muted); font-size: .9rem }
.rest:not(:empty) { padding-top: .4rem }
.empty { padding: .75rem 1rem; border: 1px dashed var(--line); border-radius: 8px }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem }
.charts { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 370px), 1fr)) }
.chart { display: flex; flex-direction: column; min-width: 0 }
.chart header { display: flex; justify-content: space-between; align-items: baseline }
.when { color: var(--muted); font-size: .8rem }
.legend { display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: .86rem; min-height: 1.4rem; margin-bottom: .3rem }
.legend li { display: flex; align-items: baseline; gap: .35rem; color: var(--muted) }
.legend b { color: var(--ink); min-width: 4.2em }
.swatch { width: .8rem; height: 3px; border-radius: 2px; align-self: center; background: var(--s) }
.thin .swatch, .legend li:nth-child(2).c1 .swatch { opacity: .5 }
.soft { --s: var(--warn) } .hard { --s: var(--bad) }
.c1 { --s: var(--c1) } .c2 { --s: var(--c2) } .c-bad { --s: var(--bad) }
.plot-box { width: 100% }
.plot { display: block; width: 100%; touch-action: pan-y; cursor: crosshair }
.plot text { fill: var(--muted); font-size: 11px; font-family: inherit }
.plot .grid { stroke: var(--line); stroke-width: 1 }
.plot .base { stroke: var(--muted); stroke-width: 1; opacity: .5 }
.plot .line { fill: none; stroke: var(--s); stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round }
.plot .minor { stroke-width: 1.2; opacity: .55 }
.plot .limit { stroke-width: 1; stroke-dasharray: 5 4 }
.plot .soft { stroke: var(--warn) } .plot .hard { stroke: var(--bad) }
.plot .cursor { stroke: var(--ink); stroke-width: 1; opacity: .6 }
.note { color: var(--muted); font-size: .8rem; margin-top: auto; padding-top: .35rem; line-height: 1.4 }
.columns, .statement summary { display: grid; grid-template-columns: minmax(0, 1fr) 4.5rem repeat(6, 6rem); gap: 0 .6rem; align-items: center }
.columns { padding: 0 1rem .3rem; color: var(--muted); font-size: .82rem }
.sort { background: none; border: 0; padding: .1rem 0; min-height: 1.8rem; color: var(--muted); text-align: right; font-weight: 500 }
.sort[aria-pressed=true] { color: var(--ink); font-weight: 700 }
.sort[aria-pressed=true]::after { content: " ↓" }
.sort:hover { text-decoration: underline }
.statements { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden }
.statements:empty { display: none }
.statement + .statement { border-top: 1px solid var(--line) }
.statement summary { padding: .5rem 1rem; cursor: pointer; list-style: none }
.statement summary::-webkit-details-marker { display: none }
.statement summary:hover, .statement[open] summary { background: var(--raised) }
.statement summary:focus-visible { outline-offset: -3px }
.cell { text-align: right; white-space: nowrap; font-size: .9rem }
.cell b { font-weight: 500 }
.cell-label { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
.cell[data-level=bad] b { color: var(--bad); font-weight: 700 }
.sql-cell { text-align: left; position: relative; overflow: hidden; padding-bottom: 4px }
.sql-cell .sql { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.share { position: absolute; left: 0; bottom: 0; height: 2px; background: var(--c1); opacity: .7; border-radius: 1px }
.where { text-align: left }
.tag { font-size: .8rem; padding: .05rem .45rem; border-radius: 1em; border: 1px solid var(--line); color: var(--muted) }
.tag[data-place=apart] { color: var(--c2); border-color: currentColor }
.sql-full, .fact-plan { white-space: pre-wrap; overflow-wrap: anywhere }
.sql-full { padding: .7rem 1rem; background: var(--raised) }
.facts { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .25rem 1rem; padding: .2rem 1rem .9rem; background: var(--raised); font-size: .9rem }
.facts dt { color: var(--muted) }
.fact-plan { font-family: var(--mono); font-size: .84rem }
#statements-more { margin-top: .6rem }
.facts-grid { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 230px), 1fr)) }
.fact { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .65rem 1rem }
.fact dt { color: var(--muted); font-size: .86rem }
.fact .value { font-size: 1.15rem; font-weight: 650 }
.fact .note { padding: 0 }
.fact[data-level=warn] .value { color: var(--warn) }
.fact[data-level=bad] .value { color: var(--bad) }
.moved-list, .advice-list { display: grid; gap: .4rem; margin-top: .8rem; grid-template-columns: minmax(0, 1fr) }
.moved, .advice-item { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .5rem 1rem }
.moved .sql { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.reasons { margin-top: .6rem; padding-left: 1.1rem; list-style: disc; color: var(--muted); font-size: .9rem }
#placement .empty { margin-top: .8rem }
footer { max-width: 1280px; margin: 0 auto; padding: 0 1rem 2rem; color: var(--muted); font-size: .86rem }
kbd { font-family: var(--mono); font-size: .8rem; border: 1px solid var(--line); border-radius: 4px; padding: 0 .3em; background: var(--card) }
dialog { width: min(40rem, calc(100vw - 2rem)); color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.2rem 1.4rem; box-shadow: 0 12px 48px rgb(0 0 0 / .35) }
dialog::backdrop { background: rgb(8 12 16 / .55) }
dialog form { display: grid; gap: .7rem }
dialog pre { max-height: 40vh; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem }
.buttons { display: flex; flex-wrap: wrap; justify-content: flex-end; gap: .6rem; margin-top: .3rem }
.buttons button { min-height: 2.5rem }
.danger { color: #fff; background: var(--danger); border-color: var(--danger) }
@media (max-width: 860px) {
  .columns { display: flex; flex-wrap: wrap; gap: 0 .9rem }
  .columns > span { display: none }
  .columns::before { content: "Sort by" }
  .statement summary { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .2rem .6rem }
  .sql-cell { grid-column: 1 / 3 }
  .cell.where { text-align: right }
  .cell { text-align: left }
  .cell-label { position: static; display: block; width: auto; height: auto; clip-path: none; color: var(--muted); font-size: .78rem }
}
@media (max-width: 560px) {
  main { padding: .75rem }
  .row { grid-template-columns: minmax(0, 1fr) auto; padding: .7rem .8rem }
  .row .what { grid-column: 1 / -1; grid-row: 2 }
  #about { order: 5; width: 100% }
  h1 { margin-right: auto }
  .bar { column-gap: .45rem; padding-inline: .75rem }
  .bar button { padding-inline: .5rem }
  .buttons button { flex: 1 }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth } }
`
