# Lists what baozi.h declares, for the code that treats all ops, or all structs, alike:
#
#   BZ_MATRIX_OPS(X), BZ_WEIGHT_OPS(X)   X(op, count) for each op: a function bz_status bz_OP(bz_stream *stream, const
#                                        bz_OP_args *args) whose args begin with their size and a count, num_*.
#                                        Weight ops take a bz_weight. BZ_OPS(X) is both.
#   BZ_STRUCTS(STRUCT, FIELD)            STRUCT(name, FIELD(name, field) ...) for each struct

/^typedef struct bz_[a-z_]+ \{/ {
  current = $3
  structs[++num_structs] = current
  next
}

current != "" && /^\}/ { current = ""; next }

current != "" {
  sub(/\/\*.*/, "")
  if (!match($0, /[a-z_0-9]+;/)) next
  field = substr($0, RSTART, RLENGTH - 1)
  fields[current, ++num_fields[current]] = field
  if (field == "weight") takes_weight[current] = 1
  next
}

/^BZ_API bz_status bz_[a-z_]+\(bz_stream \*stream, const bz_[a-z_]+_args \*args\);/ {
  op = $3
  sub(/\(.*/, "", op)
  args = $6
  if (args == op "_args" && fields[args, 2] ~ /^num_/) ops[++num_ops] = op
}

function list(macro, wants_weight, i, args) {
  printf "#define %s(X)", macro
  for (i = 1; i <= num_ops; i++) {
    args = ops[i] "_args"
    if ((args in takes_weight) == wants_weight) printf " \\\n  X(%s, %s)", substr(ops[i], 4), fields[args, 2]
  }
  printf "\n\n"
}

END {
  print "// Made from baozi.h by native/ops.awk.\n#pragma once\n"
  list("BZ_MATRIX_OPS", 0)
  list("BZ_WEIGHT_OPS", 1)
  print "#define BZ_OPS(X) BZ_WEIGHT_OPS(X) BZ_MATRIX_OPS(X)\n"
  printf "#define BZ_STRUCTS(STRUCT, FIELD)"
  for (i = 1; i <= num_structs; i++) {
    printf " \\\n  STRUCT(%s,", structs[i]
    for (j = 1; j <= num_fields[structs[i]]; j++) printf " FIELD(%s, %s)", structs[i], fields[structs[i], j]
    printf ")"
  }
  printf "\n"
}
