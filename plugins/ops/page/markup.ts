/** What is on the page before anything is known. */
export const markup = `<body>
<a class="skip" href="#running">Skip to what runs now</a>
<header class="bar">
<h1>ops</h1>
<p id="about"></p>
<p id="state" data-state="live"><i></i><span id="state-text">Connecting</span></p>
<button type="button" id="pause" aria-pressed="false" aria-keyshortcuts="p" title="Key: P">Pause</button>
<button type="button" id="theme">Dark</button>
</header>
<main>
<section id="verdict" class="verdict" data-level="none" aria-labelledby="verdict-title">
<h2 id="verdict-title">Looking</h2>
<p id="verdict-calm" hidden>Nothing has been running for long, nobody waits, nothing fails.</p>
<ul id="verdict-list"></ul>
</section>
<p id="told" class="told" role="status" hidden></p>
<section id="running" tabindex="-1" aria-labelledby="running-title">
<header class="head"><h2 id="running-title">Running now <span id="running-count" class="count">0</span></h2><p>The oldest first. What runs on the main thread is over before anybody can look.</p></header>
<ol id="running-list" class="rows"></ol>
<details id="waiting" class="waiting" hidden><summary id="waiting-text"></summary><ol id="waiting-list" class="rows"></ol></details>
<p id="running-rest" class="rest"></p>
<p id="running-empty" class="empty">No statement is running.</p>
</section>
<section id="transactions" tabindex="-1" aria-labelledby="transactions-title">
<header class="head"><h2 id="transactions-title">Open transactions <span id="transactions-count" class="count">0</span></h2><p>Each holds a connection. One that is idle keeps it from others and does nothing with it.</p></header>
<ol id="transactions-list" class="rows"></ol>
<p id="transactions-rest" class="rest"></p>
<p id="transactions-empty" class="empty">No transaction is open.</p>
</section>
<section id="charts" tabindex="-1" aria-labelledby="charts-title">
<header class="head"><h2 id="charts-title">The last five minutes</h2><p>Point at a chart to read all of them at that time. Measured only while somebody looks.</p></header>
<div id="charts-grid" class="charts"></div>
</section>
<section id="statements" aria-labelledby="statements-title">
<header class="head"><h2 id="statements-title">What takes the time</h2><p>Since the start, open one for its plan. <span id="statements-known"></span></p></header>
<div id="statements-head" class="columns" role="group" aria-label="Sort by"><span>Statement</span><span class="where">Where</span></div>
<div id="statements-list" class="statements"></div>
<p id="statements-empty" class="empty">No statement has run yet.</p>
<button type="button" id="statements-more" hidden></button>
</section>
<section id="parts" tabindex="-1" aria-labelledby="parts-title">
<header class="head"><h2 id="parts-title">Parts</h2><p>Places for statements, threads, connections.</p></header>
<dl id="parts-list" class="facts-grid"></dl>
</section>
<section id="placement" aria-labelledby="placement-title">
<header class="head"><h2 id="placement-title">Where statements run</h2><p>Decided by what each has cost before.</p></header>
<dl id="placement-list" class="facts-grid"></dl>
<ul id="moved-list" class="moved-list"></ul>
<p id="placement-empty" class="empty">Every statement runs where it is fastest.</p>
</section>
<section id="advice" tabindex="-1" aria-labelledby="advice-title" hidden>
<header class="head"><h2 id="advice-title">Memory advice</h2><p>From what was measured since the start.</p></header>
<ul id="advice-list" class="advice-list"></ul>
<p id="advice-empty" class="empty">Nothing to change.</p>
<ul id="advice-reasons" class="reasons"></ul>
</section>
</main>
<footer><p><kbd>P</kbd> pause · <kbd>S</kbd> stop the oldest statement (asks first) · <kbd>←</kbd> <kbd>→</kbd> along a chart</p></footer>
<dialog id="stop-dialog" aria-labelledby="stop-title">
<form method="dialog">
<h2 id="stop-title">Stop this statement?</h2>
<p id="stop-whose" class="whose"></p>
<pre id="stop-sql" tabindex="0" aria-label="The SQL"></pre>
<p id="stop-effect"></p>
<div class="buttons"><button value="" class="quiet">Let it run</button><button value="stop" id="stop-yes" class="danger" autofocus>Stop the statement</button></div>
</form>
</dialog>
</body>`
