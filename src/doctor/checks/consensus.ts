import { enumerated } from '../../std/quantity-text.ts'
import { error, note, ok, warning, type Check, type ClusterFacts, type Judgement } from '../diagnosis.ts'

export const consensus: Check<ClusterFacts> = {
  name: 'consensus',
  about: 'a majority of the voters answers, and how many more may fail; every member could be looked at',
  judge: (facts) => [...voting(facts), ...silence(facts), ...losses(facts)],
}

function voting({ view }: ClusterFacts): readonly Judgement[] {
  const { voters, hasQuorum } = view.consensus
  const isThere = (name: string) =>
    view.members.some(({ facts, reachable }) => facts.name === name && reachable)
  const away = voters.filter((name) => !isThere(name))
  const majority = Math.floor(voters.length / 2) + 1
  const spare = voters.length - away.length - majority
  const evidence = `${voters.length - away.length} of ${voters.length} voters answer ${view.self}${away.length > 0 ? `, ${enumerated(away)} not` : ''}; ${majority} are needed`
  if (!hasQuorum)
    return [
      error(
        'NO_QUORUM',
        `no majority: ${evidence}; nothing can be changed or taken over`,
        `Start the agents of ${enumerated(away) || 'the others'} again: systemctl start pg-metako; members that are lost for ever need a majority to be removed`,
      ),
    ]
  const found: Judgement[] = []
  if (voters.length === 1)
    found.push(
      note(
        'ONE_VOTER',
        'there is one voter: when it fails, everything does',
        'pg-metako member add NAME --api-host ADDRESS',
      ),
    )
  else if (voters.length % 2 === 0)
    found.push(
      note(
        'VOTERS_EVEN',
        `there are ${voters.length} voters: as many may fail as with ${voters.length - 1}`,
        'Add a node, or remove one: pg-metako member',
      ),
    )
  if (spare <= 0 && voters.length > 1)
    found.push(
      warning(
        'NO_MARGIN',
        `${evidence}: not one more may fail`,
        `Bring ${enumerated(away) || 'another node'} back, or replace it: pg-metako member remove, then member add`,
      ),
    )
  else found.push(ok('QUORUM', `${evidence}, so ${Math.max(0, spare)} more may fail`))
  return found
}

function silence({ unanswered }: ClusterFacts): readonly Judgement[] {
  return unanswered.map(({ name, why, isForWantOfToken }) => ({
    member: name,
    ...(isForWantOfToken
      ? warning(
          'NO_TOKEN',
          `it was not looked at: ${why}`,
          'Give --token or PG_METAKO_TOKEN; a token of a state folder opens its own node alone, security.api_token_file all that have the same',
        )
      : error(
          'NOT_LOOKED_AT',
          `it was not looked at: ${why}`,
          `See whether its agent runs, on its host: systemctl status pg-metako`,
        )),
  }))
}

function losses({ view }: ClusterFacts): readonly Judgement[] {
  return view.losses.map(({ epoch, member, transactions, keptIn }) => ({
    ...note(
      'LOSS_RECORDED',
      `the take-over of epoch ${epoch} left ${transactions} transactions behind that only ${member} had`,
      `Their WAL is kept in ${keptIn} on ${member}: look whether the application missed them, then delete it`,
    ),
    member,
  }))
}
