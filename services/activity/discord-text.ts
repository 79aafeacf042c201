/**
 * What Discord takes as a message, and how names are written so that they stay names.
 * https://discord.com/developers/docs/resources/message#embed-object-embed-limits
 */
export interface Embed {
  readonly title: string
  readonly description?: string
  /** ISO-8601 */
  readonly timestamp: string
  readonly footer: { readonly text: string }
}

const LONGEST = { title: 256, footer: 200, description: 1500 } as const
const MOST_EMBEDS = 10
const MOST_CHARACTERS = 6000

/** Whatever players are called, it is neither formatted nor a link, and mentions nobody. */
export function escapeMarkdown (text: string): string {
  return text.replace(/\p{C}+/gu, ' ').replace(/[\\*_~`|>#\-[\]()<@:]/g, '\\$&')
}

/** At most so many characters, of which none is half. */
export function cut (text: string, most: number): string {
  if (text.length <= most) return text
  return `${text.slice(0, most - 1).replace(/[\uD800-\uDBFF]$|\\+$/, '')}…`
}

/** `title` and `description` are markdown already; `footer` is not. */
export function makeEmbed ({ title, description, at, footer }: { title: string, description: string, at: number, footer: string }): Embed {
  return {
    title: cut(title, LONGEST.title),
    ...(description !== '' && { description: cut(description, LONGEST.description) }),
    timestamp: new Date(at).toISOString(),
    footer: { text: cut(footer, LONGEST.footer) }
  }
}

/** How many of these embeds, from the first, one message holds. At least one. */
export function countFitting (embeds: readonly Embed[]): number {
  let characters = 0
  const beyond = embeds.findIndex(({ title, description = '', footer }, i) => {
    characters += title.length + description.length + footer.text.length
    return i >= MOST_EMBEDS || characters > MOST_CHARACTERS
  })
  return beyond === -1 ? embeds.length : Math.max(1, beyond)
}

/** The body of a request. It notifies nobody. */
export function toMessage (embeds: readonly Embed[]): string {
  return JSON.stringify({ embeds, allowed_mentions: { parse: [] } })
}
