/**
 * What the JSON routes answer, as far as the pages use it. Types alone; nothing of this is loaded. That the server's own types fit is checked where it hands them to a page, or
 * answers /demo as JSON.
 */

export type Role = 'owner' | 'admin' | 'member'

export interface ItemTile {
  readonly itemId: number
  readonly name: string
  readonly alchEach: string | null
  readonly geEach: string | null
}

export interface VaultItem extends ItemTile {
  readonly unit: 'item' | 'dose'
  readonly quantity: number
  readonly perMember: Readonly<Record<string, number>>
  readonly approximate: boolean
}

export interface VaultMember {
  readonly memberId: string
  readonly displayName: string
  readonly kind: 'player' | 'shared'
  readonly color: number
  readonly lastSyncAt: string | null
  readonly stale: boolean
}

export interface VaultTotals {
  readonly distinctItems: number
  readonly totalQuantity: number
  readonly alchValue: string
  readonly geValue: string
  readonly unpricedItems: number
}

export interface VaultPage {
  readonly version: number
  readonly generatedAt: string
  readonly totals: VaultTotals
  readonly members: readonly VaultMember[]
  readonly items: readonly VaultItem[]
  readonly nextCursor: string | null
}

export interface Holder {
  readonly memberId: string
  readonly container: string
  readonly unit: 'item' | 'dose'
  readonly quantity: number
  readonly capturedAt: string
  readonly approximate: boolean
}

export interface ItemBreakdown {
  readonly item: ItemTile
  /** Without doses. */
  readonly total: number
  readonly doses: number
  readonly holders: readonly Holder[]
}

/** `slots`: null is an empty one. */
export interface ContainerContent {
  readonly capturedAt: string
  readonly approximate: boolean
  readonly slots: ReadonlyArray<{ readonly itemId: number, readonly quantity: number } | null>
}

export interface MemberContainers {
  readonly memberId: string
  /** Null: never synced. */
  readonly containers: Readonly<Record<string, ContainerContent | null>>
  readonly items: Readonly<Record<string, ItemTile>>
}

export interface ChangesSince {
  readonly to: number
  readonly resync: boolean
  readonly changes: ReadonlyArray<{ readonly kind: string, readonly memberId: string | null, readonly container: string | null }>
  readonly removedMembers: readonly string[]
}

/** What the page of a group begins with, beside what is in its HTML. */
export interface GroupStart {
  readonly isDemo: boolean
  readonly group: { readonly id: string, readonly name: string, readonly joinCode: string | null }
  readonly me: { readonly memberId: string, readonly role: Role } | null
  readonly csrfToken: string | null
  /** Are there events? Else the page asks every 15 s. */
  readonly live: boolean
  readonly vault: VaultPage
}

export interface ActivityEvent {
  readonly id: string
  readonly groupSeq: number
  readonly type: string
  readonly memberId: string | null
  readonly memberName: string | null
  readonly data: Readonly<Record<string, unknown>>
  readonly occurredAt: string
}

export interface ActivityPage { readonly events: readonly ActivityEvent[], readonly nextCursor: string | null }

export interface Group {
  readonly id: string
  readonly name: string
  readonly memberCount: number
  readonly maxMembers: number
  readonly plan: string
  readonly role: Role
  readonly memberId: string
  readonly settings: { readonly showPotionStorage: boolean, readonly staleAfterMinutes: number }
  readonly joinCode?: string | null
  readonly compatName?: string | null
}

export interface RosterMember {
  readonly id: string
  readonly kind: 'player' | 'shared'
  readonly displayName: string
  readonly characterName: string | null
  readonly role: Role
  readonly color: number
  readonly lastSyncAt: string | null
  readonly world: number | null
  readonly online: boolean
}

export interface Device {
  readonly id: string
  readonly prefix: string
  readonly label: string
  readonly memberId: string
  readonly memberName: string
  readonly pluginVersion: string
  readonly lastUsedAt: string | null
}

export interface Webhook {
  readonly id: string
  readonly kind: 'discord' | 'generic'
  readonly label: string
  readonly url: string
  readonly events: readonly string[]
  readonly enabled: boolean
  readonly disabledReason: string | null
}

export interface Delivery {
  readonly id: string
  readonly eventType: string
  readonly status: string
  readonly attempts: number
  readonly lastStatus: number | null
  readonly lastError: string | null
  readonly createdAt: string
  readonly nextAttemptAt: string | null
}

export interface Billing {
  readonly plan: string
  readonly status: string
  readonly premium: boolean
  readonly currentPeriodEnd: string | null
  readonly cancelAtPeriodEnd: boolean
  readonly graceUntil: string | null
  readonly limits: { readonly maxMembers: number, readonly webhooks: number, readonly historyDays: number, readonly live: boolean }
  readonly overLimit: ReadonlyArray<{ readonly limit: string, readonly used: number, readonly max: number }>
}
