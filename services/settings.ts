/**
 * What the application itself is told by the environment, beside the database: who may sign in, who operates it, and what it may reach.
 *
 * What is kept true: with nothing set it runs on this machine alone, with a sign-in and a billing of its own for trying; nothing of that answers in production, or to anybody
 * from elsewhere. Read by plugins/config, together with its own variables; here texts become settings.
 */
import type { OwnVariable } from '../plugins/config/own.ts'

const secret = { secret: true, defaultRule: 'none' } as const

export const ownVariables = [
  {
    name: 'NODE_ENV',
    description: 'production: without what is there for trying, see VAULT_DEV_TOOLS.',
    form: 'a word',
    pattern: /^\w+$/,
    defaultRule: 'development',
    example: 'production'
  },
  {
    name: 'VAULT_URL',
    description: 'Where people reach the app. Sign-in and links lead there, and only requests from there may change anything. Without it the app can be used on this machine only.',
    form: 'https://host[:port], without a path',
    pattern: /^https?:\/\/[^/?#\s]+$/,
    defaultRule: 'the address of the request, if that is this machine',
    example: 'https://vault.example.org'
  },
  {
    ...secret,
    name: 'VAULT_KEY',
    description: 'With what the addresses and secrets of webhooks are sealed in the database; several with commas between them: the first seals, all open.',
    form: '32 characters or more',
    pattern: /^[^,\s]{32,}(?:,[^,\s]{32,})*$/,
    defaultRule: 'one that is made at the first start and kept in the database, which protects nothing if the database is stolen',
    example: '0123456789abcdef0123456789abcdef'
  },
  {
    name: 'VAULT_DEV_TOOLS',
    description: 'on: sign-in as one of five test persons, payments without money, a reset. They answer to this machine only.',
    form: 'on or off',
    pattern: /^(?:on|off)$/,
    defaultRule: 'on; off with NODE_ENV=production',
    example: 'off'
  },
  ...(['discord', 'github', 'google', 'twitch'] as const).map(provider => ({
    ...secret,
    name: `VAULT_OAUTH_${provider.toUpperCase()}` as `VAULT_OAUTH_${Uppercase<typeof provider>}`,
    description: `Sign-in with ${provider}: the id and the secret of the client that is registered there, with the redirect to VAULT_URL/api/v1/auth/${provider}/callback.`,
    form: 'id:secret',
    pattern: /^[^:\s]+:\S+$/,
    example: 'client-id:client-secret'
  })),
  {
    name: 'VAULT_OPERATORS',
    description: 'Who operates the app (catalog, flags), by provider and what that calls them, with commas between them.',
    form: 'provider:subject',
    pattern: /^[a-z]+:[^,\s]+(?:,[a-z]+:[^,\s]+)*$/,
    defaultRule: 'the test person operator, if VAULT_DEV_TOOLS is on',
    example: 'discord:80351110224678912'
  },
  {
    ...secret,
    name: 'VAULT_INTERNAL_KEY',
    description: 'Opens /api/v1/internal (metrics, the outbox) to those who send it as x-internal-key. Without it nobody may.',
    form: '32 characters or more',
    pattern: /^\S{32,}$/,
    example: '0123456789abcdef0123456789abcdef'
  },
  {
    name: 'VAULT_INTERNAL_NETWORKS',
    description: 'From where /api/v1/internal may be asked, with commas between them.',
    form: 'addresses with a prefix length',
    pattern: /^[0-9a-fA-F.:]+\/\d+(?:,[0-9a-fA-F.:]+\/\d+)*$/,
    default: '127.0.0.0/8,::1/128',
    example: '10.0.0.0/8'
  },
  {
    name: 'VAULT_CATALOG_URL',
    description: 'Where the names and prices of items come from: /mapping and /latest below it, in the form of prices.runescape.wiki.',
    form: 'https://…',
    pattern: /^https?:\/\/\S+$/,
    defaultRule: 'the small catalog that comes with the app',
    example: 'https://prices.example.org/api/v1/osrs'
  },
  {
    name: 'VAULT_CATALOG_CONTACT',
    description: 'How the keeper of VAULT_CATALOG_URL can reach you; part of the User-Agent.',
    form: 'an address',
    pattern: /^[\x20-\x7e]{1,100}$/,
    defaultRule: 'none',
    example: 'admin@example.org'
  },
  {
    ...secret,
    name: 'VAULT_BILLING_KEY',
    description: 'The secret key of the Stripe account that groups pay to.',
    form: 'sk_…',
    pattern: /^\S+$/,
    defaultRule: 'none; the payments without money, if VAULT_DEV_TOOLS is on',
    example: 'sk_live_0123456789'
  },
  {
    ...secret,
    name: 'VAULT_BILLING_SECRETS',
    description: 'With what Stripe signs its webhooks; while one is replaced both, with a comma between them.',
    form: 'whsec_…',
    pattern: /^[^,\s]+(?:,[^,\s]+)*$/,
    example: 'whsec_0123456789'
  },
  {
    name: 'VAULT_BILLING_PRICE',
    description: 'The Stripe price of the plan premium.',
    form: 'price_…',
    pattern: /^\S+$/,
    defaultRule: 'none',
    example: 'price_0123456789'
  }
] as const satisfies readonly OwnVariable[]

export const providers = ['discord', 'github', 'google', 'twitch'] as const
export type Provider = typeof providers[number]

export interface VaultSettings {
  readonly isProduction: boolean
  /** Undefined: only this machine can sign in. */
  readonly url: string | undefined
  /** Undefined: one that is kept in the database. */
  readonly keys: readonly string[] | undefined
  readonly devTools: boolean
  readonly oauth: ReadonlyMap<Provider, { readonly id: string, readonly secret: string }>
  /** `provider:subject` */
  readonly operators: ReadonlySet<string>
  readonly internal: { readonly key: string | undefined, readonly networks: readonly string[] }
  readonly catalog: { readonly url: string | undefined, readonly contact: string | undefined }
  readonly billing: { readonly key: string | undefined, readonly secrets: readonly string[], readonly price: string | undefined }
}

type Name = typeof ownVariables[number]['name']

/** `own`: as `app.config.own` has them, checked. */
export function readSettings (own: Readonly<Partial<Record<Name, string>>>): VaultSettings {
  const isProduction = own.NODE_ENV === 'production'
  const devTools = own.VAULT_DEV_TOOLS === undefined ? !isProduction : own.VAULT_DEV_TOOLS === 'on'
  return {
    isProduction,
    devTools,
    url: own.VAULT_URL,
    keys: own.VAULT_KEY?.split(','),
    oauth: new Map(providers.flatMap(provider => {
      const [id, ...rest] = own[`VAULT_OAUTH_${provider.toUpperCase() as Uppercase<Provider>}`]?.split(':') ?? []
      return id === undefined ? [] : [[provider, { id, secret: rest.join(':') }] as const]
    })),
    operators: new Set(own.VAULT_OPERATORS?.split(',') ?? (devTools ? ['mock:operator'] : [])),
    internal: { key: own.VAULT_INTERNAL_KEY, networks: (own.VAULT_INTERNAL_NETWORKS ?? '127.0.0.0/8,::1/128').split(',') },
    catalog: { url: own.VAULT_CATALOG_URL, contact: own.VAULT_CATALOG_CONTACT },
    billing: { key: own.VAULT_BILLING_KEY, secrets: own.VAULT_BILLING_SECRETS?.split(',') ?? [], price: own.VAULT_BILLING_PRICE }
  }
}
