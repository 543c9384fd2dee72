/**
 * Keys of config.json that released checkpoints carry and that take no part in a decoder's forward pass. The list is
 * kept by hand: a key belongs here when no implementation of these architectures computes with it. Anything else that
 * nobody reads is refused, because it may be a difference in the mathematics.
 */
const HARMLESS_KEYS: ReadonlySet<string> = new Set([
  // What chose the reader of this config.
  "architectures", "model_type",
  // Where the file came from, and what wrote it.
  "_name_or_path", "_commit_hash", "_from_model_config", "_diffusers_version", "transformers_version", "auto_map",
  "custom_pipelines", "task_specific_params", "transformers.js_config", "is_llama_config", "is_composition", "name",
  "model_name", "author", "authors", "license", "language", "languages", "tags", "description", "version", "date",
  "base_model", "base_model_name_or_path", "parent_model", "dataset", "datasets", "created_by", "created_at",
  "library_name", "pipeline_tag", "finetuned", "finetuned_from", "finetuning_task", "unsloth_fixed", "unsloth_version",
  "keys_to_ignore_at_inference", "hf_device_map", "trust_remote_code", "export_model_type", "model_version",
  // Which implementation computed it.
  "_attn_implementation", "_attn_implementation_autoset", "_attn_implementation_internal", "attn_implementation",
  "_experts_implementation", "_experts_implementation_internal", "_moe_implementation",
  "_flash_attn_2_enabled", "flash_attn",
  "use_flash_attn", "use_flash_attn_2", "use_flashattn", "use_flash_attention", "use_flash_attention_2",
  "flash_attention", "use_sdpa", "use_xformers", "use_memory_efficient_attention", "use_cache",
  "fuse_norm", "fuse_swiglu", "fuse_cross_entropy",
  "fuse_linear_cross_entropy", "fuse_attention_qkv", "fuse_attention_ffn", "fused_mlp", "fused_bias_fc",
  "fused_dropout_add_ln", "use_fused_rms_norm", "use_fused_rope", "use_fused_head_and_loss_fn",
  "use_fused_linear_cross_entropy", "use_liger", "use_liger_kernel", "torchscript", "torch_compile", "use_bfloat16",
  "fp16", "bf16", "fp32", "pretraining_tp", "tensor_parallel", "tensor_parallel_degree", "tensor_parallel_output",
  "tensor_parallel_size", "tensor_parallel_rank", "model_parallel", "model_parallel_size", "pipeline_parallel_degree",
  "virtual_pp_degree", "model_parallel_degree", "fsdp", "deepspeed", "torch_compile_options",
  "sequence_parallel", "ep_size", "world_size", "tf_legacy_loss",
  // What a call returns.
  "return_dict", "use_return_dict", "output_attentions", "output_hidden_states", "output_past", "is_decoder",
  "num_logits_to_keep", "logits_to_keep",
  // Heads that are not a language model's.
  "id2label", "label2id", "num_labels", "problem_type", "summary_activation", "summary_first_dropout",
  "summary_proj_to_labels", "summary_type", "summary_use_proj", "summary_hidden_size", "summary_last_dropout",
  // Lengths of training or of the tokenizer: `max_position_embeddings` is the one that rotary tables follow.
  "model_max_length", "max_model_length", "tokenizer_model_max_length", "max_sequence_length", "max_seq_length",
  "max_seq_len", "n_positions", "n_ctx", "seq_length", "seq_len", "sequence_length", "training_seq_len",
  "train_max_length",
  "context_length",
  // The tokenizer.
  "tokenizer_class", "tokenizer_padding_side", "tokenizer_type", "bos_token", "eos_token", "pad_token", "unk_token",
  "additional_special_tokens", "chat_template", "chat_format", "padding_side", "add_bos_token", "add_eos_token",
  "pad_token_id", "sep_token_id", "cls_token_id", "mask_token_id", "unk_token_id", "eod_token_id", "eod_id",
  "decoder_start_token_id", "pad_vocab_size_multiple", "make_vocab_size_divisible_by",
  // Training. Dropout's keys are told by their names.
  "gradient_checkpointing", "use_gradient_checkpointing", "recompute", "recompute_granularity", "neftune_noise_alpha",
  "initializer_range", "initializer_std", "initializer_factor", "init_std", "init_method", "init_method_std",
  "use_scaled_init_method", "initializer_cutoff_factor", "weight_init", "router_aux_loss_coef", "router_jitter_noise",
  "output_router_logits",
  "aux_loss_alpha", "router_z_loss_coef", "z_loss_weight", "label_smoothing", "loss_type", "loss_function",
  "loss_reduction", "ignore_index", "lora_r", "lora_alpha", "lora_target_modules", "training_args", "train_batch_size",
  "learning_rate", "weight_decay", "warmup_steps", "optimizer", "seed", "step", "global_step", "tokens_seen",
  "freeze_backbone",
  // Defaults of generation that older configs carry; generation_config.json is where they are read.
  "prefix", "bad_words_ids", "suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id", "forced_eos_token_id",
  "forced_decoder_ids", "force_words_ids", "max_length", "min_length", "max_new_tokens", "min_new_tokens", "max_time",
  "do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "temperature", "top_k", "top_p",
  "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "penalty_alpha", "guidance_scale", "low_memory",
  "renormalize_logits", "repetition_penalty", "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size",
  "encoder_repetition_penalty", "num_return_sequences", "output_scores", "output_logits", "return_dict_in_generate",
  "remove_invalid_values", "exponential_decay_length_penalty", "sequence_bias", "constraints", "stop_strings",
  "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold",
  "prompt_lookup_num_tokens", "cache_implementation", "cache_config", "watermarking_config", "generation_config",
  "generation_kwargs",
])

// attention_dropout, hidden_dropout_prob, resid_pdrop, classifier_dropout: nothing is dropped after training.
const DROPOUT = /(^|_)(dropout|pdrop)(_prob|_rate|_p)?$/

// Keys that say something about the mathematics, with the values at which they change nothing in a plain decoder.
const NEUTRAL_VALUES: Readonly<Record<string, readonly unknown[]>> = {
  activation: ["swiglu"], alibi: [false], use_alibi: [false], use_logn_attn: [false], use_dynamic_ntk: [false],
  parallel_attn: [false], parallel_residual: [false], use_parallel_residual: [false], no_bias: [true], bias: [false],
  use_bias: [false], use_qk_norm: [false], qk_norm: [false], qk_layernorm: [false], norm_type: ["rmsnorm", "rms_norm"],
  use_rmsnorm: [true], rms_norm: [true], position_embedding_type: ["rope", "rotary"], use_rope: [true],
  factor: [1], rotary_pct: [1], rope_scaling_factor: [1], rope_condense_ratio: [1], logits_scaling: [1],
  logit_scale: [1],
  embedding_multiplier: [1], embedding_scale: [1], residual_multiplier: [1], residual_scale: [1], mup_scale: [1],
  num_experts: [0], num_local_experts: [0], n_routed_experts: [0], num_nextn_predict_layers: [0], mlp_only_layers: [[]],
  qkv_bias: [false], use_qkv_bias: [false], add_qkv_bias: [false], attn_bias: [false], add_bias_linear: [false],
  lm_head_bias: [false], head_bias: [false], parallel_block: [false], interleaved_rope: [false],
  use_rotary_embeddings: [true], rotary: [true], rope_type: ["default"], scale_attn_weights: [true], scale_emb: [1],
  mup_enabled: [false], use_lora: [false], use_mla: [false], use_cla: [false], use_sliding_window_attention: [false],
  use_parallel_embedding: [false], mtp_num_layers: [0], num_mtp_layers: [0], modality: ["text"],
  pruned_heads: [{}], output_gate: [false], use_moe: [false], is_moe: [false], use_mtp: [false],
}

/** Whether `key` with `value`, which no architecture has read, can be left unread. */
export function isHarmless(key: string, value: unknown): boolean {
  if (HARMLESS_KEYS.has(key) || DROPOUT.test(key)) return true
  return Object.hasOwn(NEUTRAL_VALUES, key) && NEUTRAL_VALUES[key]!.some((neutral) => Bun.deepEquals(neutral, value))
}
