/**
 * The picture of an item, made from its id and its name: a hue, and a sign of what kind of thing it is, or two letters where the name does not say. No picture of the game.
 * For the server and the browser. The signs stand once in the page, as symbols `#g-…` (views/glyphs.ts).
 */
import { html } from './html.js'

export const HUES = 18

/** 0 to 17; near ids are far apart. @param {number} itemId */
export function hueOf (itemId) {
  return (Math.imul(itemId, 0x9e3779b1) >>> 8) % HUES
}

/** `Dragon bones` → `Db`, `Coins` → `Co` @param {string} name */
export function lettersOf (name) {
  const words = name.replace(/\(.*$/, '').split(/[^\p{L}\p{N}#]+/u).filter(word => word !== '')
  const [first = '?', second] = words
  const letters = second === undefined ? first.slice(0, 2) : `${first.slice(0, 1)}${second.slice(0, 1).toLowerCase()}`
  return letters.slice(0, 1).toUpperCase() + letters.slice(1)
}

/** What words say what kind of thing it is; the first that fits. */
const KINDS = /** @type {ReadonlyArray<[glyph: string, words: RegExp]>} */ ([
  ['potion', /\b(?:potion|brew|restore|antidote|prayer mix|anti-?venom|stamina|ranging mix|overload)|\((?:1|2|3|4)\)$/i],
  ['coins', /\b(?:coins?|tokens?|platinum)\b/i],
  ['seed', /\b(?:seeds?|sapling|spore)\b/i],
  ['herb', /\b(?:grimy|herb|ranarr|snapdragon|torstol|weed|toadflax|kwuarm|avantoe|cadantine|lantadyme|irit|harralander|tarromin|marrentill|guam|leaf)\b/i],
  ['rune', /\b(?:nature|law|death|blood|soul|chaos|cosmic|astral|wrath|fire|water|air|earth|mind|body|dust|lava|mist|mud|smoke|steam) runes?\b|essence\b/i],
  ['ammo', /\b(?:arrows?|bolts?|darts?|javelins?|knives|knife|cannonballs?|arrowtips?)\b/i],
  ['bow', /\b(?:bow|shortbow|longbow|crossbow|blowpipe|ballista)\b/i],
  ['staff', /\b(?:staff|wand|trident|sceptre|battlestaff|sang)\b/i],
  ['axe', /\b(?:axe|pickaxe|hatchet|battleaxe|halberd|maul|warhammer|hammer|mace)\b/i],
  ['sword', /\b(?:sword|scimitar|longsword|dagger|whip|tentacle|godsword|rapier|spear|claws?|scythe|lance|defender|hasta)\b/i],
  ['shield', /\b(?:shield|kiteshield|buckler|ward|bulwark)\b/i],
  ['helm', /\b(?:helm|helmet|hat|hood|mask|coif|serpentine|faceguard|crown)\b/i],
  ['body', /\b(?:body|platebody|chestplate|chainbody|robe|top|torso|hauberk|tunic|brassard|cape|cloak|avas?|accumulator|assembler)\b/i],
  ['legs', /\b(?:legs|platelegs|chaps|skirt|plateskirt|tassets|bottoms?|greaves)\b/i],
  ['boots', /\b(?:boots|gloves|bracelet|gauntlets|vambraces)\b/i],
  ['ring', /\b(?:ring|amulet|necklace|fury|torture|anguish|brooch|pendant|symbol)\b/i],
  ['bone', /\b(?:bones?|skull|ashes|hide|scales?|ensouled|dragonhide|leather)\b/i],
  ['gem', /\b(?:sapphire|emerald|ruby|diamond|dragonstone|onyx|zenyte|opal|jade|topaz|gem|crystal|shard)\b/i],
  ['bar', /\b(?:bar|ore|coal|nails?|amethyst|granite|sand|clay|limestone|ingot)\b/i],
  ['log', /\b(?:logs?|planks?|timber)\b/i],
  ['fish', /\b(?:shark|lobster|swordfish|anglerfish|karambwan|monkfish|manta|turtle|tuna|trout|salmon|fish|eel)\b/i],
  ['food', /\b(?:cake|pie|pizza|potato|bread|stew|wine|meat|apple|banana|pineapple|cheese|egg|cabbage|strawberry|watermelon|snape grass|limpwurt)\b/i],
  ['scroll', /\b(?:tablet|teleport|scroll|clue|casket|book|map|lamp|page)\b/i],
  ['key', /\b(?:key|totem)\b/i],
  ['flask', /\b(?:vial|bucket|jug|bowl|bottle|compost|flask|waterskin)\b/i]
])

export const GLYPHS = KINDS.map(([glyph]) => glyph)

/** Undefined: the name does not say. @param {string} name */
export function glyphOf (name) {
  return KINDS.find(([, words]) => words.test(name))?.[0]
}

/** Says nothing to who hears it: the name stands beside. @param {number} itemId @param {string} name */
export function tile (itemId, name) {
  const glyph = glyphOf(name)
  const inside = glyph === undefined ? html`<span>${lettersOf(name)}</span>` : html`<svg><use href="#g-${glyph}"/></svg>`
  return html`<span class="tile hue-${hueOf(itemId)}" aria-hidden="true">${inside}</span>`
}
