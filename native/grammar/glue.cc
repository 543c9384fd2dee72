// What the WebAssembly module exports of xgrammar: plain functions over addresses and numbers, for
// packages/xgrammar-wasm. The module has one thread.
//
// Strings come in as an address and a length, from memory that xg_alloc gave. A function that fails returns 0 (handles)
// or a negative number, and leaves its words where xg_result finds them. Handles are released with xg_drop_*.
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <vector>

#include <xgrammar/xgrammar.h>

#include "cpp/compiled_grammar_impl.h"
#include "cpp/grammar_impl.h"
#include "cpp/support/logging.h"

namespace xgrammar {
// The message alone: file, line and time of xgrammar's own source do not help the author of the grammar.
[[noreturn]] void LogFatalImpl(const std::string &, int, const std::string &message) {
  throw std::runtime_error(message);
}
void LogMessageImpl(const std::string &, int, int, const std::string &) {}
}  // namespace xgrammar

using xgrammar::CompiledGrammar;
using xgrammar::GrammarCompiler;
using xgrammar::GrammarMatcher;
using xgrammar::TokenizerInfo;

namespace {

constexpr int kFailed = -1;

// The last function's words: an error, or a string that it returns.
std::string result;

template <typename Function>
auto guarded(Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::exception &error) {
    result = error.what();
  } catch (...) {
    result = "unknown exception";
  }
  return static_cast<decltype(function())>(0);
}

template <typename Function>
int checked(Function function) {
  try {
    return function();
  } catch (const std::exception &error) {
    result = error.what();
  } catch (...) {
    result = "unknown exception";
  }
  return kFailed;
}

DLTensor bitmask(int32_t *words, int64_t *shape, int64_t *strides) {
  DLTensor tensor;
  tensor.data = words;
  tensor.device = DLDevice{kDLCPU, 0};
  tensor.ndim = 1;
  tensor.dtype = DLDataType{kDLInt, 32, 1};
  tensor.shape = shape;
  tensor.strides = strides;
  tensor.byte_offset = 0;
  return tensor;
}

}  // namespace

#define XG_EXPORT(name) extern "C" __attribute__((export_name(#name)))

XG_EXPORT(xg_alloc) void *xg_alloc(uint32_t bytes) { return malloc(bytes); }
XG_EXPORT(xg_free) void xg_free(void *address) { free(address); }

// The last string result or error: its address and its length.
XG_EXPORT(xg_result) const char *xg_result() { return result.data(); }
XG_EXPORT(xg_result_bytes) uint32_t xg_result_bytes() { return static_cast<uint32_t>(result.size()); }

// `offsets` has count + 1 entries into `bytes`: an empty token is one that no grammar admits. Tokens from `count` to
// `vocab_size` are the padding of a model's output.
XG_EXPORT(xg_tokenizer)
TokenizerInfo *xg_tokenizer(const char *bytes, const uint32_t *offsets, uint32_t count, uint32_t vocab_size,
                            const int32_t *stop_ids, uint32_t stop_count) {
  return guarded([&] {
    std::vector<std::string> tokens;
    tokens.reserve(count);
    for (uint32_t i = 0; i < count; i++) tokens.emplace_back(bytes + offsets[i], offsets[i + 1] - offsets[i]);
    return new TokenizerInfo(tokens, xgrammar::VocabType::RAW, static_cast<int>(vocab_size),
                             std::vector<int32_t>(stop_ids, stop_ids + stop_count));
  });
}
XG_EXPORT(xg_drop_tokenizer) void xg_drop_tokenizer(TokenizerInfo *tokenizer) { delete tokenizer; }

// `cache_bytes` bounds what compiled grammars leave behind for the next ones that share rules with them.
XG_EXPORT(xg_compiler) GrammarCompiler *xg_compiler(const TokenizerInfo *tokenizer, double cache_bytes, int is_lazy) {
  return guarded([&] {
    return new GrammarCompiler(*tokenizer, 1, true, static_cast<int64_t>(cache_bytes), is_lazy != 0);
  });
}
XG_EXPORT(xg_drop_compiler) void xg_drop_compiler(GrammarCompiler *compiler) { delete compiler; }
XG_EXPORT(xg_cache_bytes) double xg_cache_bytes(const GrammarCompiler *compiler) {
  return static_cast<double>(compiler->GetCacheSizeBytes());
}
XG_EXPORT(xg_clear_cache) void xg_clear_cache(GrammarCompiler *compiler) { compiler->ClearCache(); }

enum GrammarKind { kEbnf = 0, kLark = 1, kRegex = 2, kStructuralTag = 3, kJson = 4, kJsonSchema = 5 };

XG_EXPORT(xg_compile)
CompiledGrammar *xg_compile(GrammarCompiler *compiler, int kind, const char *text, uint32_t bytes) {
  return guarded([&] {
    const std::string source(text, bytes);
    switch (kind) {
      case kEbnf: return new CompiledGrammar(compiler->CompileGrammar(source));
      case kLark: return new CompiledGrammar(compiler->CompileLark(source));
      case kRegex: return new CompiledGrammar(compiler->CompileRegex(source));
      case kStructuralTag: return new CompiledGrammar(compiler->CompileStructuralTag(source));
      case kJson: return new CompiledGrammar(compiler->CompileBuiltinJSONGrammar());
      case kJsonSchema:
        return new CompiledGrammar(compiler->CompileJSONSchema(source, true, std::nullopt, std::nullopt, false));
      default: throw std::invalid_argument("no such kind of grammar");
    }
  });
}
XG_EXPORT(xg_drop_grammar) void xg_drop_grammar(CompiledGrammar *grammar) { delete grammar; }
XG_EXPORT(xg_grammar_bytes) double xg_grammar_bytes(const CompiledGrammar *grammar) {
  return static_cast<double>(grammar->MemorySizeBytes());
}
XG_EXPORT(xg_rules) int xg_rules(const CompiledGrammar *grammar) {
  return checked([&] { return static_cast<int>(grammar->GetGrammar()->NumRules()); });
}
// Makes the masks of one rule of a lazy grammar, which are otherwise made when a text first comes there.
XG_EXPORT(xg_warm) int xg_warm(CompiledGrammar *grammar, int32_t rule_id) {
  return checked([&] {
    const auto &rules = (*grammar)->grammar;
    const auto &fsm = rules->per_rule_fsms[rule_id];
    if (!fsm.has_value()) return 0;
    xgrammar::ParserState state(rule_id, rules->GetRule(rule_id).body_expr_id, 0,
                                xgrammar::ParserState::kNoPrevInputPos);
    std::unordered_set<int> reachable;
    fsm->GetFsm().GetReachableStates(&reachable);
    for (int element : reachable) {
      if (!fsm->GetFsm().IsScanableState(element)) continue;
      state.element_id = element;
      (*grammar)->GetAdaptiveTokenMask(state);
    }
    return 0;
  });
}
// The grammar as EBNF, in xg_result.
XG_EXPORT(xg_grammar_text) int xg_grammar_text(const CompiledGrammar *grammar) {
  return checked([&] {
    result = grammar->GetGrammar().ToString();
    return 0;
  });
}

XG_EXPORT(xg_matcher) GrammarMatcher *xg_matcher(const CompiledGrammar *grammar) {
  return guarded([&] { return new GrammarMatcher(*grammar); });
}
XG_EXPORT(xg_fork) GrammarMatcher *xg_fork(const GrammarMatcher *matcher) {
  return guarded([&] { return new GrammarMatcher(matcher->Fork()); });
}
XG_EXPORT(xg_drop_matcher) void xg_drop_matcher(GrammarMatcher *matcher) { delete matcher; }

// 1: accepted, 0: the grammar does not admit it and the matcher is as before.
XG_EXPORT(xg_accept) int xg_accept(GrammarMatcher *matcher, int32_t token_id) {
  return checked([&] { return matcher->AcceptToken(token_id) ? 1 : 0; });
}
XG_EXPORT(xg_accept_text) int xg_accept_text(GrammarMatcher *matcher, const char *text, uint32_t bytes) {
  return checked([&] { return matcher->AcceptString(std::string(text, bytes)) ? 1 : 0; });
}
XG_EXPORT(xg_rollback) int xg_rollback(GrammarMatcher *matcher, int count) {
  return checked([&] {
    matcher->Rollback(count);
    return 0;
  });
}
// Bit i % 32 of word i / 32 is 1 where token i may come next. Returns 0 when all bits are 1: nothing is to be masked.
XG_EXPORT(xg_mask) int xg_mask(GrammarMatcher *matcher, int32_t *words, uint32_t word_count) {
  return checked([&] {
    int64_t shape = word_count;
    int64_t stride = 1;
    DLTensor tensor = bitmask(words, &shape, &stride);
    return matcher->FillNextTokenBitmask(&tensor) ? 1 : 0;
  });
}
// 1: the text so far is whole. 2: a stop token has been accepted too.
XG_EXPORT(xg_state) int xg_state(const GrammarMatcher *matcher) {
  return checked([&] { return matcher->IsTerminated() ? 2 : matcher->IsCompleted() ? 1 : 0; });
}
// The text that has to come next whatever is sampled, in xg_result; it may end inside a character.
XG_EXPORT(xg_jump_forward) int xg_jump_forward(GrammarMatcher *matcher) {
  return checked([&] {
    result = matcher->FindJumpForwardString();
    return 0;
  });
}
