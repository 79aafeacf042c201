/** `/app` and `/join/:code`: making and joining a group. */
import './plain.js'
import { change } from './api.js'
import { onSubmit } from './dom.js'

/** @typedef {{ group: { id: string } }} Entered */

const create = document.getElementById('create')
if (create instanceof HTMLFormElement) {
  // one key for one form: pressed twice, it is one group
  const key = crypto.randomUUID()
  onSubmit(create, async fields => { open(await change('POST', '/groups', fields, { 'idempotency-key': key })) })
}

const join = document.getElementById('join')
if (join instanceof HTMLFormElement) onSubmit(join, async fields => { open(await change('POST', '/groups/join', fields)) })

/** @param {Entered} entered */
function open ({ group }) {
  location.assign(`/app/groups/${group.id}`)
}
