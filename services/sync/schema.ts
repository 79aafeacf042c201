/** What plugins send and are answered. */
import { Type } from 'typebox'
import { closed, idOf } from '../common/route.ts'
import { containerNames, MOST_STACKS } from './containers.ts'

export const MOST_EVENTS = 50
export const MOST_EVENT_BYTES = 4096
export const MOST_DELTA_ITEMS = 200
/** Of an upload: all containers, full, are some 60 kB. */
export const MOST_BYTES = 100_000

/** No characters that cannot be seen. */
export const visible = (longest: number, description: string) => Type.String({ pattern: `^\\P{C}{1,${longest}}$`, description })

export const Version = Type.String({ pattern: '^\\d{1,5}(?:\\.\\d{1,5}){1,3}$', description: 'of the plugin: 1.2.3', examples: ['1.2.3'] })
export const Time = Type.String({ format: 'date-time', maxLength: 40, description: 'ISO-8601, on the clock of the plugin', examples: ['2026-03-01T12:00:00.000Z'] })
export const TimeAnswer = Type.String({ description: 'ISO-8601' })

const INT32 = 2 ** 31
/** Above what a stack can be, so that it is our own text that says so. */
const ItemPair = Type.Tuple([Type.Integer({ minimum: -1, maximum: INT32 - 1 }), Type.Integer({ minimum: -INT32, maximum: Number.MAX_SAFE_INTEGER })], { maxItems: 2, description: 'id and quantity' })
export const Items = Type.Array(ItemPair, { maxItems: MOST_STACKS, description: 'positional containers: by place, [0,0] or [-1,0] for an empty one; others in any order' })

const safe = { maximum: Number.MAX_SAFE_INTEGER }
export const Epoch = Type.Integer({ minimum: 1, ...safe, description: 'of POST /sync/sessions' })
export const Seq = Type.Integer({ minimum: 0, ...safe, description: 'counted up within the epoch, one for each request' })
const moment = { epoch: Epoch, seq: Seq }

export const ContainerParams = Type.Object({ container: Type.String({ description: containerNames.join(', '), examples: ['inventory'] }) })
export const UploadBody = closed({
  ...moment, capturedAt: Time,
  containers: Type.Object(Object.fromEntries(containerNames.map(name => [name, Type.Optional(closed({ items: Items }))])), {
    additionalProperties: false, minProperties: 1, description: 'those that are not there are as before; an empty list is known and empty'
  })
})
export const ReplaceBody = closed({ ...moment, capturedAt: Time, items: Items })
export const ClearQuery = closed(moment)
export const DeltaBody = closed({
  deltaId: Type.String({ pattern: '^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$', description: 'a UUID of the plugin\'s own; sent again it does nothing' }),
  ...moment, container: Type.Literal('bank'), add: Type.Array(ItemPair, { minItems: 1, maxItems: MOST_DELTA_ITEMS })
})

export const ResultAnswer = Type.Union(['applied', 'unchanged', 'stale'].map(word => Type.Literal(word)))
export const GroupVersion = Type.Integer({ description: 'of the group: one more with each change' })

export const StartBody = closed({ pluginName: visible(60, 'of the plugin'), pluginVersion: Version, deviceLabel: Type.Optional(visible(60, 'by which people know the device; default: the name of the plugin')) })
export const StartAnswer = Type.Object({
  deviceCode: Type.String({ description: 'for polling; a secret' }), userCode: Type.String({ examples: ['WDJB-MJHT'] }), verificationUri: Type.String(), verificationUriComplete: Type.String(),
  expiresIn: Type.Integer({ description: 'seconds' }), interval: Type.Integer({ description: 'seconds between two polls' })
})
export const PollBody = closed({ deviceCode: Type.String({ minLength: 1, maxLength: 100, pattern: '^[A-Za-z0-9_-]+$' }) })
const MemberAnswer = Type.Object({ id: Type.String(), displayName: Type.String(), characterName: Type.Union([Type.String(), Type.Null()]) })
export const PollAnswer = Type.Object({ token: Type.String({ description: 'shown here and nowhere else' }), member: MemberAnswer, group: Type.Object({ id: Type.String(), name: Type.String() }) })
export const ApproveBody = closed({
  userCode: Type.String({ minLength: 1, maxLength: 40, description: 'in any case, with or without dash' }), groupId: idOf('group'), allow: Type.Boolean(), label: Type.Optional(visible(60, 'of the device'))
})
export const ApproveAnswer = Type.Object({ deviceLabel: Type.String(), pluginVersion: Type.String() })

export const HelloQuery = closed({ pluginVersion: Type.Optional(Version) })
export const HelloAnswer = Type.Object({
  serverTime: TimeAnswer, member: MemberAnswer, group: Type.Object({ id: Type.String(), name: Type.String(), version: GroupVersion }), epoch: Type.Integer(),
  limits: Type.Object({
    containers: Type.Record(Type.String(), Type.Object({ kind: Type.String(), size: Type.Integer() })),
    quantity: Type.Integer(), bodyBytes: Type.Integer(), deltaItems: Type.Integer(), events: Type.Integer(), eventBytes: Type.Integer(),
    requests: Type.Object({ max: Type.Integer(), seconds: Type.Integer() })
  }),
  minPluginVersion: Type.String(), intervals: Type.Object({ activeSeconds: Type.Integer(), idleSeconds: Type.Integer() }), features: Type.Record(Type.String(), Type.Boolean())
})
export const SessionBody = closed({
  accountHash: Type.String({ pattern: '^(?:0|-?[1-9]\\d{0,18})$', description: 'a signed 64-bit number, as text: a JSON number would lose digits' }),
  characterName: Type.String({ minLength: 1, maxLength: 60 }), clientTime: Time
})
export const SessionAnswer = Type.Object({ epoch: Type.Integer(), renamed: Type.Boolean({ description: 'the character has another name than before' }) })
export const StateAnswer = Type.Object({
  epoch: Type.Integer(),
  containers: Type.Record(Type.String(), Type.Object({
    epoch: Type.Integer(), seq: Type.Integer(), capturedAt: TimeAnswer,
    hash: Type.String({ description: 'SHA-256 of [[id,quantity],…] as JSON: all places, [0,0] for an empty one; or the stacks by ascending id' })
  }))
})
export const HeartbeatBody = closed({ world: Type.Optional(Type.Integer({ minimum: 1, maximum: 9999 })), activity: Type.Optional(visible(60, 'what the player does')) })

export const EventsBody = closed({
  events: Type.Array(closed({
    eventId: Type.String({ pattern: '^[\\x21-\\x7e]{1,100}$', description: 'of the plugin\'s own; sent again it is a duplicate' }), type: Type.String({ pattern: '^[a-z][a-z0-9._-]{0,39}$' }),
    occurredAt: Time, data: Type.Record(Type.String(), Type.Unknown(), { description: `at most ${MOST_EVENT_BYTES} bytes as JSON` })
  }), { minItems: 1, maxItems: MOST_EVENTS })
})
export const EventsAnswer = Type.Object({ accepted: Type.Integer(), duplicates: Type.Integer() })
