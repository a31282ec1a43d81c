import { ClientError } from '#client'
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'

/** How an order stands. It is sent once: an answer that is lost is said to be unknown, never tried again. */
export type Progress =
  | { readonly kind: 'asked' | 'sent' }
  | { readonly kind: 'done'; readonly text: ComponentChildren }
  | { readonly kind: 'failed'; readonly text: string; readonly remedy?: string }

function useOrder(): { progress: Progress; send: (work: () => Promise<ComponentChildren>) => void } {
  const [progress, setProgress] = useState<Progress>({ kind: 'asked' })
  const send = (work: () => Promise<ComponentChildren>) => {
    setProgress({ kind: 'sent' })
    work().then(
      (text) => setProgress({ kind: 'done', text }),
      (error: unknown) => setProgress(failureOf(error)),
    )
  }
  return { progress, send }
}

function failureOf(error: unknown): Progress {
  if (!(error instanceof ClientError)) return { kind: 'failed', text: String(error) }
  const remedy =
    error.remedy ??
    (error.kind === 'unreachable'
      ? 'It may have been carried out all the same: look at the page first'
      : undefined)
  return { kind: 'failed', text: error.message, ...(remedy === undefined ? {} : { remedy }) }
}

type OrderProps = {
  readonly title: string
  readonly button: string
  readonly isDangerous?: boolean
  /** Typed by hand before the button works. */
  readonly confirmWith?: string
  readonly isRefused?: boolean
  readonly cancel: () => void
  readonly order: () => Promise<ComponentChildren>
  readonly children: ComponentChildren
}

/** A confirmation: what happens, what it costs, and one button. */
export function Order(props: OrderProps) {
  const { title, button, isDangerous, confirmWith, isRefused, cancel, order, children } = props
  const { progress, send } = useOrder()
  const [typed, setTyped] = useState('')
  const isArmed = isRefused !== true && (confirmWith === undefined || typed === confirmWith)
  const isWaiting = progress.kind === 'sent'
  const submit = (event: Event) => {
    event.preventDefault()
    if (isArmed && !isWaiting) send(order)
  }
  return (
    <form onSubmit={submit} method="dialog">
      <h2 id="dialog-title">{title}</h2>
      {progress.kind !== 'done' && children}
      {progress.kind !== 'done' && confirmWith !== undefined && (
        <label class="field">
          Type <b>{confirmWith}</b> to confirm
          <input
            value={typed}
            autoComplete="off"
            spellcheck={false}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </label>
      )}
      <p class={`outcome ${progress.kind}`} role="status">
        {progress.kind === 'sent' && 'Asked; waiting for the outcome …'}
        {progress.kind === 'done' && progress.text}
        {progress.kind === 'failed' && (
          <>
            <strong>{progress.text}</strong>
            {progress.remedy && <span>{progress.remedy}</span>}
          </>
        )}
      </p>
      <div class="dialog-acts">
        <button type="button" onClick={cancel}>
          {progress.kind === 'done' ? 'Close' : 'Cancel'}
        </button>
        {progress.kind !== 'done' && (
          <button type="submit" class={isDangerous ? 'danger' : 'primary'} disabled={!isArmed || isWaiting}>
            {button}
          </button>
        )}
      </div>
    </form>
  )
}

/** What it costs, before it is ordered. */
export function Price({ items }: { items: readonly (string | undefined)[] }) {
  return (
    <ul class="price">{items.flatMap((item) => (item === undefined ? [] : [<li key={item}>{item}</li>]))}</ul>
  )
}
