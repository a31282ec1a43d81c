import type { WhyAnswer, WhyQuestion } from '#client'

/** Answers to one question. */
export function answersTo(question: WhyQuestion) {
  return (isWell: boolean, reason: string, sentence: string): WhyAnswer => ({
    question,
    isWell,
    reason,
    sentence,
  })
}
