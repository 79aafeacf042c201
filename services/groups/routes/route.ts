/** What the routes of groups have in common: names that are checked beyond what a schema can say, who asks, and how writes go about conflicts of the database. */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type {} from '../../../plugins/tx/index.ts' // config.tx
import { sessionOf } from '../../auth/access.ts'
import { Validation, withDetails } from '../../common/errors.ts'
import { isName } from '../../common/names.ts'
import { idOf, type describe } from '../../common/route.ts'
import { membershipOf } from '../access.ts'
import type { Actor } from '../lock-as.ts'

export const InGroup = Type.Object({ groupId: idOf('group') })
export const MemberInGroup = Type.Object({ groupId: idOf('group'), memberId: idOf('member') })
export const TokenInGroup = Type.Object({ groupId: idOf('group'), tokenId: idOf('token') })

/** How long it is as people see it is checked by `checkName`. */
export const Name = Type.String({ minLength: 1, maxLength: 200 })

/** Trimmed. `pointer`: to the part of the request. Throws `VALIDATION`. */
export function checkName (name: string, longest: number, pointer: string): string {
  if (!isName(name, longest)) throw withDetails(new Validation(pointer, `has to have 1 to ${longest} characters that can be seen`), { pointer })
  return name.trim()
}

/** Of a route with `:groupId`. */
export function actorOf (request: FastifyRequest): Actor {
  return { groupId: membershipOf(request).groupId, userId: sessionOf(request).userId }
}

/** A write that is done again when the database has refused it for others' sake. */
export function describeWrite ({ schema, config }: ReturnType<typeof describe>) {
  return { schema, config: { ...config, tx: { mode: 'write', retry: 3 } as const } }
}
