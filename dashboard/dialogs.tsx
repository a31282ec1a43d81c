import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { Asked, DialogProps } from './asked.ts'
import { InviteDialog } from './invite-dialog.tsx'
import { KEYS } from './keys.ts'
import { PauseDialog, RestartDialog } from './maintenance-dialogs.tsx'
import { MemberDialog } from './member-dialog.tsx'
import { ConfirmDownDialog, ReinitDialog, ReloadDialog, RemoveDialog } from './order-dialogs.tsx'
import { SwitchoverDialog } from './switchover-dialog.tsx'
import { TokenDialog } from './token-dialog.tsx'

export function Dialogs({ asked, ...props }: DialogProps & { readonly asked: Asked | undefined }) {
  if (!asked) return null
  const close = () => props.ask(undefined)
  return (
    <Modal key={asked.kind} close={close}>
      {content(asked, props)}
    </Modal>
  )
}

function content(asked: Asked, props: DialogProps) {
  switch (asked.kind) {
    case 'member':
      return <MemberDialog {...props} name={asked.name} />
    case 'switchover':
      return <SwitchoverDialog {...props} {...(asked.to === undefined ? {} : { to: asked.to })} />
    case 'reinit':
      return <ReinitDialog {...props} name={asked.name} />
    case 'remove':
      return <RemoveDialog {...props} name={asked.name} />
    case 'confirm-down':
      return <ConfirmDownDialog {...props} name={asked.name} />
    case 'restart':
      return <RestartDialog {...props} name={asked.name} />
    case 'pause':
      return <PauseDialog {...props} />
    case 'reload':
      return <ReloadDialog {...props} />
    case 'invite':
      return <InviteDialog {...props} />
    case 'token':
      return <TokenDialog {...props} />
    case 'keys':
      return <Keys close={() => props.ask(undefined)} />
  }
}

/** The browser's own dialog: it keeps the focus inside, and Escape closes it. */
function Modal({ close, children }: { close: () => void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  const closeOutside = (event: MouseEvent) => {
    if (event.target === dialog.current) close()
  }
  return (
    <dialog ref={dialog} onClose={close} onClick={closeOutside} aria-labelledby="dialog-title">
      <div class="dialog-body">{children}</div>
    </dialog>
  )
}

function Keys({ close }: { close: () => void }) {
  return (
    <>
      <h2 id="dialog-title">Keys</h2>
      <dl class="keys">
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <div class="dialog-acts">
        <button type="button" onClick={close}>
          Close
        </button>
      </div>
    </>
  )
}
