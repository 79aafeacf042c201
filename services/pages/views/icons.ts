/** Signs, drawn for these pages: of the page itself, and of the kinds of items (shared/tile.js says which). As symbols they stand once in a page; their colour is that of the text. */
import { html, Html } from '../static/shared/html.js'

/** What is within a 24 × 24 field. */
const icons = {
  search: '<circle cx="10.5" cy="10.5" r="6.5"/><path d="M15.5 15.5 21 21"/>',
  theme: '<circle cx="12" cy="12" r="8.5"/><path d="M12 3.5a8.5 8.5 0 0 1 0 17z" fill="currentColor"/>',
  copy: '<rect x="8.5" y="8.5" width="11.5" height="11.5" rx="2.5"/><path d="M15.5 8V6.5A2.5 2.5 0 0 0 13 4H6.5A2.5 2.5 0 0 0 4 6.5V13a2.5 2.5 0 0 0 2.5 2.5H8"/>',
  close: '<path d="m6 6 12 12M18 6 6 18"/>',
  grid: '<rect x="4" y="4" width="6.5" height="6.5" rx="1.5"/><rect x="13.5" y="4" width="6.5" height="6.5" rx="1.5"/><rect x="4" y="13.5" width="6.5" height="6.5" rx="1.5"/><rect x="13.5" y="13.5" width="6.5" height="6.5" rx="1.5"/>',
  list: '<path d="M8 6h12M8 12h12M8 18h12M4 6h.010M4 12h.010M4 18h.010"/>',
  invite: '<circle cx="10" cy="8" r="4"/><path d="M3 20c.5-4 3.5-6 7-6 1.5 0 2.8.3 4 1M18 14v7M14.5 17.5h7"/>',
  sort: '<path d="M8 5v14M8 19l-3.5-3.5M8 19l3.5-3.5M16 19V5M16 5l-3.5 3.5M16 5l3.5 3.5"/>',
  vault: '<rect x="3.5" y="4.5" width="17" height="14.5" rx="3"/><circle cx="12" cy="11.75" r="3.5"/><path d="M12 8.25v1.25M12 14v1.25M8.5 11.75h1.25M14.25 11.75h1.25M7 19v1.5M17 19v1.5"/>',
  back: '<path d="M14.5 5.5 8 12l6.5 6.5"/>',
  warn: '<path d="M12 4 2.8 19.5h18.4zM12 10v4.5M12 17.2v.010"/>',
  plug: '<path d="M9 3v5M15 3v5M6 8h12v3.5a6 6 0 0 1-12 0zM12 17.5V21"/>'
} as const

const glyphs = {
  potion: '<path d="M9.5 3h5M10.5 3v5.5l-4 6A4.6 4.6 0 0 0 10.4 21.5h3.2a4.6 4.6 0 0 0 3.9-7l-4-6V3M7 14.5h10"/>',
  coins: '<ellipse cx="12" cy="6.5" rx="7" ry="3"/><path d="M5 6.5v5.3c0 1.7 3.1 3 7 3s7-1.3 7-3V6.5M5 11.8v5.3c0 1.7 3.1 3 7 3s7-1.3 7-3v-5.3"/>',
  seed: '<path d="M12 21v-8c0-4 3-6.5 7.5-6.5 0 4.5-3 6.5-7.5 6.5M12 17c0-3.5-2.5-5.5-7-5.5 0 4 2.5 5.5 7 5.5"/>',
  herb: '<path d="M5 19C4 10 9 5 20 4c-.5 11-5.5 16-15 15zm0 0 8-8"/>',
  rune: '<path d="m12 2.8 7.5 4.7v9L12 21.2l-7.5-4.7v-9zM12 8v8m-2.8-5.2L12 8l2.8 2.8"/>',
  ammo: '<path d="M6 18 19 5M13.5 4.5H19.5V10.5M4 15.5v4.5h4.5M6.5 13v4.5H11"/>',
  bow: '<path d="M5 4c9.5 0 15 5.5 15 15L5 4zM4 20l8.5-8.5M4 16v4h4"/>',
  staff: '<path d="M4.5 20.5 14 10"/><circle cx="16.5" cy="7" r="3.8"/>',
  axe: '<path d="M5 20.5 14.5 10M10.5 6.5c2.5-3.5 7.5-3.5 10 0-2.5.5-4 2-3.5 5-3.5 0-6-1.5-6.5-5z"/>',
  sword: '<path d="M20 4v4l-9 9-4-4 9-9zM4.5 13.5l6 6M7.5 16.5l-4 4"/>',
  shield: '<path d="M12 3l7.5 2.5V11c0 5-3 8.2-7.5 10-4.5-1.8-7.5-5-7.5-10V5.5zM12 3v18M4.8 10.5h14.4"/>',
  helm: '<path d="M5 20v-8a7 7 0 0 1 14 0v8h-4.5v-5.5L12 12.5l-2.5 2V20zM12 5v3.5"/>',
  body: '<path d="M8.5 4 3.5 7l2 4.5 1.5-.8V20h10v-9.3l1.5.8 2-4.5-5-3c-.7 1.7-1.8 2.5-3.5 2.5S9.2 5.7 8.5 4z"/>',
  legs: '<path d="M7 3.5h10l1.5 17h-4.5l-2-9-2 9H5.5zM7 7.5h10"/>',
  boots: '<path d="M7.5 3.5h6v9.5c3.5.7 6 2 6 4.5v3h-12zM7.5 16.5h5"/>',
  ring: '<circle cx="12" cy="15" r="6"/><path d="M9 3.5h6l1.8 2.5L12 9 7.2 6z"/>',
  bone: '<path d="M7.5 13.5a2.3 2.3 0 1 0-1.7 4.2 2.3 2.3 0 1 0 4.3-1.7l6.4-6.5a2.3 2.3 0 1 0 1.7-4.2 2.3 2.3 0 1 0-4.3 1.7z"/>',
  gem: '<path d="M7 4.5h10L21 10l-9 10.5L3 10zM3 10h18M12 20.5 8.5 10 12 4.5l3.5 5.5z"/>',
  bar: '<path d="m3 17.5 2.5-8 9-2 6.5 3-2.5 8-9 1.5zM5.5 9.5l6 3 9.5-2M11.5 12.5l-2 7.5"/>',
  log: '<ellipse cx="17.5" cy="12" rx="3" ry="5"/><path d="M17.5 7H6.5c-1.7 0-3 2.2-3 5s1.3 5 3 5h11M8 10.5h4M7 13.5h3"/>',
  fish: '<path d="M3 12c3-5.5 9.5-6 13.5-2l4.5-4v12l-4.5-4c-4 4-10.5 3.5-13.5-2zM8 11v.010"/>',
  food: '<path d="M12 8c-3-3-8-1-7.3 5 .6 4.2 3 7.5 5.3 7.5.9 0 1.3-.5 2-.5s1.1.5 2 .5c2.3 0 4.7-3.3 5.3-7.5C20 7 15 5 12 8zm0 0c0-2.2 1-4 3-5"/>',
  scroll: '<path d="M7 4h10.5v12M7 4a2 2 0 0 0-2 2v2.5h4M7 4a2 2 0 0 1 2 2v12a2 2 0 0 0 2 2h7.5a2 2 0 0 0 2-2v-2h-7.5v2a2 2 0 0 1-2 2M12 8.5h2.5M12 12h2.5"/>',
  key: '<circle cx="8" cy="8" r="4.5"/><path d="m11.2 11.2 9 9M15.5 15.5l2.3-2.3M18.5 18.5l2.3-2.3"/>',
  flask: '<path d="M8.5 3h7M9.5 3v4L7 10v8.5A2.5 2.5 0 0 0 9.5 21h5a2.5 2.5 0 0 0 2.5-2.5V10l-2.5-3V3M7 13.5h10"/>'
} as const

export type Icon = keyof typeof icons

export function icon (name: Icon): Html {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">${new Html(icons[name])}</svg>`
}

const sheet = Object.entries(glyphs).map(([name, inside]) => `<symbol id="g-${name}" viewBox="0 0 24 24">${inside}</symbol>`).join('')

/** All signs of items; they are used by `<use href="#g-…">`. */
export const glyphSheet = new Html(`<svg class="glyphs" aria-hidden="true">${sheet}</svg>`)
