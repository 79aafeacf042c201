/** The errors of the plugins' routes. */
import type { FastifyError } from '@fastify/error'
import { define, PREFIX } from '../common/errors.ts'

export const AuthorizationPending = define('TDM_ERR_VAULT_AUTHORIZATION_PENDING', 'Nobody has confirmed the code yet. Ask again after the interval.', 400)
export const SlowDown = define<[seconds: number]>('TDM_ERR_VAULT_SLOW_DOWN', 'Asked too soon. The interval is %d s from now on.', 400)
export const ExpiredToken = define('TDM_ERR_VAULT_EXPIRED_TOKEN', 'The device code is not known, has expired, or was used. Begin again with POST /api/v1/sync/pair/start.', 400)
export const AccessDenied = define('TDM_ERR_VAULT_ACCESS_DENIED', 'The person who was asked said no, or is no member of the group any more.', 400)
export const UserCodeInvalid = define('TDM_ERR_VAULT_USER_CODE_INVALID', 'No plugin shows this code, or it has expired. Look at the plugin again.', 404)
export const AlreadyUsed = define('TDM_ERR_VAULT_ALREADY_USED', 'This code has been answered already. Let the plugin show a new one.', 409)

export const PluginTooOld = define<[version: string, least: string]>('TDM_ERR_VAULT_PLUGIN_TOO_OLD', 'The plugin is version %s, and %s or later is needed. Update it.', 426)
export const CharacterMismatch = define('TDM_ERR_VAULT_CHARACTER_MISMATCH', 'This plugin was paired for another character of the group, or another member plays this one.', 409)
export const EpochUnknown = define<[epoch: number]>('TDM_ERR_VAULT_EPOCH_UNKNOWN', 'The epoch %d was not issued to this member. Open a session with POST /api/v1/sync/sessions and use its epoch.', 409)
export const ContainerUnknown = define<[names: string]>('TDM_ERR_VAULT_CONTAINER_UNKNOWN', 'There is no such container; there are %s.', 404)
export const CompatDenied = define('TDM_ERR_VAULT_COMPAT_DENIED', 'There is no such group with this token, or the player is not on its roster.', 401)
export const CompatHeaderMissing = define('TDM_ERR_VAULT_COMPAT_HEADER_MISSING', 'The request needs the token of the group in the header Authorization.', 400)

/** As RFC 8628, section 3.5, and RFC 6749, section 5.2, write their codes: `authorization_pending`. */
export function asOfOAuth<E extends FastifyError> (error: E): E & { wireCode: string } {
  return Object.assign(error, { wireCode: error.code.slice(PREFIX.length).toLowerCase() })
}
