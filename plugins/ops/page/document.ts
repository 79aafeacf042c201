/**
 * The page as one document: markup, style and script in it, nothing from elsewhere.
 *
 * Its policy allows these two by their hashes and nothing else. The document is the same for everybody and holds no figure: those come over /ops/live and get in as text.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { markup } from './markup.ts'
import { style } from './style.ts'

/** Each may use those before it. */
const CLIENT = ['format', 'dom', 'attention', 'chart', 'charts', 'running', 'stop', 'fingerprints', 'parts', 'slow', 'advice', 'main']

export interface Page { readonly html: string, readonly policy: string }

export function makePage (): Page {
  const script = CLIENT.map(readClient).join('\n')
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>ops</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
${markup}
<script type="module">${script}</script>
</html>
`
  const policy = [
    'default-src \'none\'', `script-src '${hash(script)}'`, `style-src '${hash(style)}'`, 'connect-src \'self\'', 'img-src data:', 'form-action \'self\'', 'base-uri \'none\'', 'frame-ancestors \'none\'',
    'require-trusted-types-for \'script\''
  ].join('; ')
  return { html, policy }
}

/** Modules that use one another become one: what they import is above them. */
function readClient (name: string): string {
  const text = readFileSync(new URL(`./client/${name}.js`, import.meta.url), 'utf8')
  return text.replace(/^import .*$/gm, '').replace(/^export (?=(?:async )?function|class|const)/gm, '').replace(/^export \{.*\};?$/gm, '').replace(/\/\*\*[\s\S]*?\*\//g, '').replace(/\n{2,}/g, '\n').trim()
}

function hash (text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
