/** The members above the grid: who they are, by colour, how old what they reported is, and whether only theirs is shown. For the server and the browser. */
import { colorOf } from './cells.js'
import { ageOf, agoOf } from './format.js'
import { html } from './html.js'

/** @import { VaultMember } from './types.d.ts' */
/** @import { PageQuery } from './query.js' */

/** @param {readonly VaultMember[]} members @param {Pick<PageQuery, 'members'>} query @param {number} now */
export function chips (members, { members: chosen }, now) {
  return members.map(({ memberId, displayName, color, kind, lastSyncAt, stale }) => {
    const age = lastSyncAt === null ? (kind === 'shared' ? '' : 'never synced') : ageOf(lastSyncAt, now)
    const said = lastSyncAt === null ? 'never synced' : `synced ${agoOf(lastSyncAt, now)}${stale ? ', which is long ago' : ''}`
    return html`<label class="chip ${colorOf({ kind, color })}${stale ? ' stale' : ''}" title="${displayName}: ${said}"><input type="checkbox" name="member" value="${memberId}"${chosen.includes(memberId) ? html` checked` : ''}><i aria-hidden="true"></i><span>${displayName}</span><small data-age="${memberId}">${age}</small></label>`
  })
}
