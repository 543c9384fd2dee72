/** A small server, so that queues fill, prompts are cut and requests are preempted. */
export const SOAK_FLAGS: readonly string[] = [
  "--max-num-seqs", "12", "--max-num-batched-tokens", "64", "--block-size", "16", "--num-gpu-blocks-override", "96",
  "--scheduling-policy", "priority", "--priority-ageing-seconds", "2", "--max-itl-ms", "20",
  "--max-waiting-requests", "60", "--threads", "1",
  "--stream-resume-seconds", "5", "--disable-access-log",
]
