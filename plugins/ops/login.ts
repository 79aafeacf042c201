/** The form in which operators tell the token to a browser. Nothing in it comes from the request. */

/** `action`: where it is sent. */
export function loginPage (action: string, isWrong: boolean): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>ops</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 22rem; margin: 20vh auto; padding: 0 1rem }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit }
input, button { padding: .5rem; margin: .25rem 0 1rem }
</style>
</head>
<body>
<h1>ops</h1>
${isWrong ? '<p role="alert">That is not the token.</p>' : ''}
<form method="post" action="${action}">
<label for="token">Token (OPS_TOKEN)</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open</button>
</form>
</body>
</html>
`
}
