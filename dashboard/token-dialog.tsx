import { useState } from 'preact/hooks'
import type { DialogProps } from './asked.ts'

export function TokenDialog({ cluster, view, ask }: DialogProps) {
  const [token, setToken] = useState('')
  const [refusal, setRefusal] = useState<string | undefined>(undefined)
  const isOpen = cluster.token !== undefined
  const submit = (event: Event) => {
    event.preventDefault()
    cluster.unlock(token.trim()).then(
      (isRight) => (isRight ? ask(undefined) : setRefusal(`This is not the token of ${view.self}`)),
      (error: unknown) => setRefusal(error instanceof Error ? error.message : String(error)),
    )
  }
  const forget = () => {
    cluster.forgetToken()
    ask(undefined)
  }
  return (
    <form onSubmit={submit}>
      <h2 id="dialog-title">{isOpen ? 'Actions are on' : 'Turn actions on'}</h2>
      {isOpen ? (
        <p>This tab holds the token of the API until it is closed.</p>
      ) : (
        <>
          <p>
            Without the token the page only reads. It is <code>security.api_token</code>, else the file{' '}
            <code>token</code> in the state folder of {view.self}. It stays in this tab and goes to this node
            alone.
          </p>
          <label class="field">
            Token of the API
            <input
              type="password"
              value={token}
              autoComplete="off"
              autofocus
              onInput={(event) => setToken(event.currentTarget.value)}
            />
          </label>
        </>
      )}
      <p class="outcome failed" role="status">
        {refusal && <strong>{refusal}</strong>}
      </p>
      <div class="dialog-acts">
        <button type="button" onClick={() => ask(undefined)}>
          {isOpen ? 'Close' : 'Cancel'}
        </button>
        {isOpen ? (
          <button type="button" class="primary" onClick={forget}>
            Forget it
          </button>
        ) : (
          <button type="submit" class="primary" disabled={token.trim() === ''}>
            Turn on
          </button>
        )}
      </div>
    </form>
  )
}
