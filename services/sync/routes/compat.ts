/**
 * Two routes of the public group tracker, as its plugin asks for them: no prefix, one token for the whole group in `Authorization`, plain text. Who is not on the roster, a wrong
 * token and a group that is not there are answered alike.
 */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { translate } from '../../common/answer-error.ts'
import type { VaultContext } from '../../common/context.ts'
import { describe } from '../../common/route.ts'
import { PLUGIN_LIMIT } from '../../groups/access.ts'
import { readCompatReport } from '../compat-body.ts'
import { CompatDenied, CompatHeaderMissing } from '../errors.ts'
import { MOST_BYTES } from '../schema.ts'
import { applyCompatReport, findCompatWriter, type CompatWriter } from '../store/compat.ts'

const Params = Type.Object({ groupName: Type.String({ maxLength: 100 }) })
const Query = Type.Object({ member_name: Type.String({ maxLength: 100 }) })
const Body = Type.Object({ name: Type.String({ maxLength: 100, description: 'of the player' }) }, { description: 'numbers by turns: id, quantity, …; what is not known is let pass' })

export async function compatRoutes (app: FastifyInstance, { now }: VaultContext): Promise<void> {
  const counted = new WeakMap<FastifyRequest, string>()
  // the token is that of five players, each of whom reports once a second
  const limit = app.limitTo({ ...PLUGIN_LIMIT, by: request => counted.get(request) })
  app.setErrorHandler(answerText)

  async function writerOf (request: FastifyRequest, reply: FastifyReply, groupName: string, memberName: string): Promise<CompatWriter> {
    const token = request.headers.authorization ?? ''
    const writer = token === '' ? undefined : await findCompatWriter(app.db, { groupName, token, memberName })
    if (writer === undefined) throw new CompatDenied()
    counted.set(request, `compat:${writer.memberId}`)
    await limit(request, reply)
    return writer
  }

  const seeing = describe({ family: 'sync', summary: 'Is the player on the roster? (for the plugin of the public tracker)', params: Params, querystring: Query, answers: { 200: null } })
  app.get<{ Params: Static<typeof Params>, Querystring: Static<typeof Query> }>('/api/group/:groupName/am-i-in-group', {
    ...seeing,
    config: { ...seeing.config, tx: false },
    onRequest: requireHeader
  }, async (request, reply) => {
    await writerOf(request, reply, request.params.groupName, request.query.member_name)
    return await reply.type('text/plain; charset=utf-8').send('')
  })

  const writing = describe({ family: 'sync', summary: 'What a player has (from the plugin of the public tracker)', params: Params, body: Body, answers: { 200: null } })
  app.post<{ Params: Static<typeof Params>, Body: Static<typeof Body> }>('/api/group/:groupName/update-group-member', {
    ...writing,
    config: { ...writing.config, tx: false },
    bodyLimit: MOST_BYTES,
    onRequest: requireHeader
  }, async (request, reply) => {
    const writer = await writerOf(request, reply, request.params.groupName, request.body.name)
    await applyCompatReport(app.db, writer, readCompatReport(request.body), now())
    return await reply.type('text/plain; charset=utf-8').send('')
  })
}

async function requireHeader ({ headers: { authorization } }: FastifyRequest): Promise<void> {
  if (authorization === undefined || authorization === '') throw new CompatHeaderMissing()
}

function answerText (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const { statusCode = 500, message } = translate(error)
  if (statusCode >= 500) request.log.error({ err: error, route: request.routeOptions.url }, 'a request failed')
  if (statusCode === 503) reply.header('retry-after', '1')
  reply.code(statusCode).type('text/plain; charset=utf-8').send(message)
}
