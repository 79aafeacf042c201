/** Does a client have this answer already? `header`: If-None-Match, a list or `*`; weak and strong tags are compared alike (RFC 9110, section 13.1.2). */
export function isSameEtag (header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  const opaque = (tag: string): string => tag.trim().replace(/^W\//, '')
  return header.trim() === '*' || header.split(',').some(tag => opaque(tag) === opaque(etag))
}
