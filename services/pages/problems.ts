/** What goes wrong on the way to a page, as a page. Who is not signed in is sent to where that can be done, and comes back. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { Unauthenticated } from '../common/errors.ts'
import { errorKind } from '../../plugins/errors.ts'
import { sendPage } from './visit.ts'
import { problem, type Problem } from './views/problem.ts'

export async function showProblem (error: FastifyError, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  if (error instanceof Unauthenticated) return reply.redirect(`/?returnTo=${encodeURIComponent(request.url)}`, 302)
  const { statusCode = 500 } = error
  if (statusCode >= 500) request.log[errorKind(error) === 'aborted' ? 'info' : 'error']({ err: error, route: request.routeOptions.url }, 'a page could not be shown')
  return sendPage(reply, problem('system', describeProblem(statusCode)), statusCode)
}

function describeProblem (status: number): Problem {
  if (status === 404) return { title: 'There is nothing here', text: 'The page does not exist, or you may not see it. If it was a group, you may have been removed from it.' }
  if (status === 429) return { title: 'Too many requests', text: 'Wait a minute, then try again.' }
  if (status < 500) return { title: 'This cannot be shown', text: 'The address is not one that this app knows.' }
  return { title: 'It did not work', text: 'The vault could not be read. It is not your fault; try again in a moment.' }
}
