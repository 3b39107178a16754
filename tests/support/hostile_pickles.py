# ruff: noqa: E501
"""Pickle and joblib files that must not pass. Payloads would create one marker file and nothing else."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.support import pickle_assembler as asm
from tests.support.pickle_assembler import (
    APPEND,
    APPENDS,
    BUILD,
    DUP,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    MARK,
    MEMOIZE,
    NEWOBJ,
    NONE,
    OBJ,
    POP,
    REDUCE,
    SETITEM,
    STOP,
    call,
    dct,
    integer,
    line_global,
    lst,
    new,
    proto,
    ridge,
    short_text,
    stack_global,
    stream,
    text,
    tup,
)  # fmt: skip

GADGETS = [
    ("os", "system"), ("posix", "system"), ("nt", "system"), ("os", "popen"), ("os", "execv"), ("os", "remove"),
    ("subprocess", "Popen"), ("subprocess", "check_output"), ("builtins", "eval"), ("builtins", "exec"),
    ("builtins", "compile"), ("builtins", "__import__"), ("builtins", "open"), ("builtins", "getattr"),
    ("builtins", "setattr"), ("builtins", "globals"), ("builtins", "type"), ("builtins", "map"), ("builtins", "apply"),
    ("__builtin__", "eval"), ("__builtin__", "execfile"), ("__builtin__", "getattr"), ("__main__", "Custom"),
    ("importlib", "import_module"), ("runpy", "run_path"), ("runpy", "_run_code"), ("code", "interact"),
    ("operator", "attrgetter"), ("operator", "methodcaller"), ("operator", "itemgetter"), ("functools", "reduce"),
    ("functools", "partial"), ("types", "FunctionType"), ("types", "CodeType"), ("marshal", "loads"),
    ("pickle", "loads"), ("pickle", "load"), ("_pickle", "loads"), ("copyreg", "__newobj__"), ("copyreg", "add_extension"),
    ("shutil", "rmtree"), ("shutil", "copyfile"), ("socket", "create_connection"), ("urllib.request", "urlopen"),
    ("urllib.request", "urlretrieve"), ("webbrowser", "open"), ("ctypes", "CDLL"), ("ctypes.util", "find_library"),
    ("pty", "spawn"), ("platform", "popen"), ("timeit", "timeit"), ("cProfile", "run"), ("profile", "run"), ("pdb", "run"),
    ("bdb", "Bdb.run"), ("doctest", "debug_script"), ("idlelib.pyshell", "ModifiedInterpreter"), ("pydoc", "locate"),
    ("asyncio", "run"), ("multiprocessing", "Process"), ("threading", "Thread"), ("tempfile", "mktemp"),
    ("logging.config", "fileConfig"), ("pathlib", "Path"), ("io", "FileIO"), ("_io", "FileIO"), ("codecs", "open"),
    ("zipfile", "ZipFile"), ("ensurepip", "_run_pip"), ("pip", "main"), ("venv", "create"), ("linecache", "updatecache"),
    ("sys", "exit"), ("sys", "settrace"), ("signal", "alarm"), ("resource", "setrlimit"), ("gc", "get_objects"),
    ("weakref", "finalize"), ("atexit", "register"), ("inspect", "getsource"), ("site", "addsitedir"),
    # within packages that models do need
    ("numpy", "load"), ("numpy", "fromfile"), ("numpy", "genfromtxt"), ("numpy", "save"), ("numpy", "memmap"),
    ("numpy", "frompyfunc"), ("numpy", "vectorize"), ("numpy", "apply_along_axis"), ("numpy", "loadtxt"),
    ("numpy.testing._private.utils", "runstring"), ("numpy.testing._private.utils", "rundocs"),
    ("numpy.testing", "assert_raises"), ("numpy.lib._npyio_impl", "load"), ("numpy.f2py", "compile"),
    ("numpy.f2py.crackfortran", "myeval"), ("numpy.f2py.capi_maps", "load_f2cmap_file"), ("numpy.distutils.exec_command", "exec_command"),
    ("numpy.core.multiarray", "fromfile"), ("numpy.ctypeslib", "load_library"), ("numpy._core.records", "fromfile"),
    ("joblib", "load"), ("joblib.numpy_pickle", "load"), ("joblib.numpy_pickle_compat", "NDArrayWrapper"),
    ("joblib.numpy_pickle_compat", "ZNDArrayWrapper"), ("joblib.memory", "Memory"), ("joblib._memmapping_reducer", "reduce_array_memmap"),
    ("joblib.externals.cloudpickle", "loads"), ("joblib.externals.loky.backend.utils", "kill_process_tree"),
    ("sklearn.utils._testing", "raises"), ("sklearn.datasets", "fetch_openml"), ("sklearn.datasets._base", "load_files"),
    ("sklearn.externals.joblib", "load"), ("sklearn.utils", "all_estimators"), ("sklearn", "os.system"),
    ("sklearn.utils._joblib", "joblib.load"), ("sklearn.externals._lobpcg", "lobpcg"), ("sklearn.utils.parallel", "_FuncWrapper"),
    ("sklearn.utils.metaestimators", "_AvailableIfDescriptor"), ("sklearn.feature_extraction.text", "open"),
    ("scipy.io", "loadmat"), ("scipy._lib._ccallback", "LowLevelCallable"), ("scipy._lib.decorator", "FunctionMaker"),
    ("scipy.stats._distn_infrastructure", "rv_generic"), ("scipy.optimize._optimize", "brute"), ("scipy.linalg", "os"),
    ("pandas", "read_pickle"), ("pandas.io.pickle", "read_pickle"), ("pandas", "read_csv"), ("pandas", "eval"),
    ("pandas.core.computation.eval", "eval"), ("pandas.io.common", "urlopen"), ("pandas.compat.pickle_compat", "load"),
    ("torch", "load"), ("torch.serialization", "load"), ("dill._dill", "_create_function"), ("cloudpickle.cloudpickle", "_make_function"),
    ("lightgbm.basic", "_load_lib"), ("lightgbm", "train"), ("xgboost.core", "_load_lib"), ("xgboost", "train"),
    ("lightgbm.basic", "Dataset"), ("xgboost.core", "DMatrix"),
]  # fmt: skip


def payload(marker: str) -> bytes:
    return text(f"touch {marker}")


def gadgets(marker: str) -> Iterator[tuple[str, bytes]]:
    """Each dangerous global, called and as a value, first in the file and hidden in an estimator."""
    for index, (module, name) in enumerate(GADGETS):
        reference = stack_global(module, name) if index % 2 else line_global(module, name)
        label = f"{module}.{name}"
        yield f"call {label}", stream(call(reference, payload(marker)), 4 if index % 2 else 2)
        yield f"inner call {label}", stream(ridge(coef_=call(reference, payload(marker))))
        if (module, name) not in (("numpy", "memmap"), ("builtins", "getattr"), ("__builtin__", "getattr")):
            yield f"value {label}", stream(ridge(coef_=reference))


def opcode_families(marker: str) -> Iterator[tuple[str, bytes]]:
    """One way of reaching a call per opcode."""
    system, sleep = line_global("os", "system"), payload(marker)
    yield "protocol 0", b"cos\nsystem\n(S'touch %s'\ntR." % marker.encode()
    yield "protocol 1", b"cos\nsystem\n(" + sleep + b"tR."
    yield "inst", b"(" + sleep + b"ios\nsystem\n."
    yield "obj", proto(2) + MARK + system + sleep + OBJ + STOP
    yield "newobj", stream(system + tup(sleep) + NEWOBJ)
    yield "newobj_ex", stream(system + tup(sleep) + EMPTY_DICT + b"\x92")
    yield (
        "newobj_ex allowed",
        stream(stack_global("sklearn.linear_model._ridge", "Ridge") + EMPTY_TUPLE + EMPTY_DICT + b"\x92"),
    )
    for name, code in (("ext1", b"\x82\x01"), ("ext2", b"\x83\x01\x00"), ("ext4", b"\x84\x01\x00\x00\x00")):
        yield name, stream(code + tup(sleep) + REDUCE)
        yield f"{name} value", stream(ridge(coef_=code))
    yield "persid", b"P" + marker.encode() + b"\n."
    yield "binpersid", stream(text(marker) + b"Q")
    yield "dup", stream(ridge() + DUP + POP)
    yield "next_buffer", stream(ridge(coef_=b"\x97"), 5)
    yield "readonly_buffer", stream(ridge(coef_=asm.blob(b"x") + b"\x98"), 5)
    yield "string opcode", stream(ridge(coef_=b"S'touch'\n"), 2)
    yield "binstring opcode", stream(ridge(coef_=b"T\x01\x00\x00\x00x"), 2)
    yield "memo call", stream(system + MEMOIZE + POP + b"h\x00" + tup(sleep) + REDUCE)
    yield (
        "swapped by put",
        stream(
            line_global("numpy", "dtype")
            + b"q\x00"
            + POP
            + system
            + b"q\x00"
            + POP
            + b"h\x00"
            + tup(sleep)
            + REDUCE
        ),
    )
    yield "call of an instance", stream(ridge() + tup(sleep) + REDUCE)
    yield "call of a call", stream(call(call(stack_global("builtins", "slice"), NONE, NONE, NONE), sleep))
    yield "dotted name", stream(call(stack_global("sklearn", "utils.os.system"), sleep))
    yield "dotted allowed", stream(call(stack_global("numpy", "core.multiarray._reconstruct"), sleep))
    yield "unicode name", stream(call(stack_global("os", "ѕystem"), sleep))
    yield "name with nul", stream(call(stack_global("os\0", "system"), sleep))
    yield "name with blanks", stream(call(stack_global("os ", " system"), sleep))
    yield "module as bytes", stream(asm.blob(b"os") + text("system") + b"\x93" + tup(sleep) + REDUCE)
    yield (
        "computed name",
        stream(
            call(line_global("_codecs", "encode"), text("os"), text("latin1"))
            + text("system")
            + b"\x93"
            + tup(sleep)
            + REDUCE
        ),
    )
    yield "arguments no tuple", stream(stack_global("numpy", "dtype") + lst(text("f8")) + REDUCE)
    yield "second stream", stream(ridge()) + stream(call(system, sleep))
    yield "after pop", stream(call(system, sleep) + POP + ridge())
    yield "in a popped mark", stream(MARK + call(system, sleep) + b"1" + ridge())
    yield (
        "in a frame",
        proto(4) + b"\x95" + struct.pack("<Q", len(call(system, sleep)) + 1) + call(system, sleep) + STOP,
    )


def misuse(marker: str) -> Iterator[tuple[str, bytes]]:
    """Allowed globals, used as no model uses them."""
    system = line_global("os", "system")
    ndarray, reconstruct = (
        stack_global("numpy", "ndarray"),
        stack_global("numpy._core.multiarray", "_reconstruct"),
    )
    ridge_class = stack_global("sklearn.linear_model._ridge", "Ridge")
    yield "class called", stream(call(ridge_class))
    yield "class as value", stream(ridge(coef_=ridge_class))
    yield "class in a tuple as value", stream(ridge(coef_=tup(ridge_class)))
    yield "function created", stream(stack_global("_codecs", "encode") + EMPTY_TUPLE + NEWOBJ)
    yield (
        "value called",
        stream(call(stack_global("sklearn.metrics._classification", "accuracy_score"), lst(), lst())),
    )
    yield "check_array called", stream(call(stack_global("sklearn.utils.validation", "check_array"), lst()))
    yield "log called", stream(call(stack_global("numpy", "log"), integer(3)))
    yield "newobj arguments", stream(ridge_class + tup(integer(1)) + NEWOBJ)
    yield "build on a class", stream(ridge_class + dct(predict=stack_global("numpy", "log")) + BUILD)
    yield "build on a function", stream(stack_global("_codecs", "encode") + dct(a=NONE) + BUILD)
    yield "build on a dict", stream(EMPTY_DICT + dct(a=NONE) + BUILD)
    yield "setitem on a class", stream(ridge_class + text("predict") + NONE + SETITEM)
    yield "setitem on an instance", stream(ridge() + text("predict") + NONE + SETITEM)
    yield "append on an instance", stream(ridge() + NONE + APPEND)
    yield "append on a dict", stream(EMPTY_DICT + MARK + NONE + APPENDS)
    yield "append on a global", stream(stack_global("numpy", "log") + MARK + NONE + APPENDS)
    yield "additems on a list", stream(EMPTY_LIST + MARK + NONE + b"\x90")
    for key in ("predict", "fit", "transform", "get_params", "_validate_params", "score", "__class__", "__dict__",
                "__reduce__", "__setstate__", "__getattr__", "__sklearn_tags__", "set_params", "_decision_function",
                "a b", "1x", ""):  # fmt: skip
        yield f"state {key!r}", stream(
            stack_global("sklearn.linear_model._ridge", "Ridge") + EMPTY_TUPLE + NEWOBJ + EMPTY_DICT + text(key)
            + stack_global("numpy", "log") + SETITEM + BUILD
        )  # fmt: skip
    yield (
        "state key no text",
        stream(new("sklearn.linear_model._ridge", "Ridge", EMPTY_DICT + integer(1) + NONE + SETITEM)),
    )
    yield (
        "state a tuple of slots",
        stream(
            new("sklearn.linear_model._ridge", "Ridge", tup(NONE, dct(predict=stack_global("numpy", "log"))))
        ),
    )
    yield "state a list", stream(new("sklearn.linear_model._ridge", "Ridge", lst()))
    yield "state twice", stream(ridge() + dct(a=NONE) + BUILD)
    yield "state grows after build", stream(
        ridge_class + EMPTY_TUPLE + NEWOBJ + EMPTY_DICT + b"q\x05" + text("alpha") + NONE + SETITEM + BUILD
        + b"h\x05" + text("predict") + NONE + SETITEM + POP
    )  # fmt: skip
    transformer = ("sklearn.preprocessing._function_transformer", "FunctionTransformer")
    for module, name in (("numpy", "ndarray"), ("sklearn.utils.validation", "check_array"), ("builtins", "str"),
                         ("sklearn.metrics._classification", "f1_score"), ("numpy", "float64")):  # fmt: skip
        yield f"function {name}", stream(new(*transformer, dct(func=stack_global(module, name))))
    yield "function system", stream(new(*transformer, dct(func=system)))
    yield "function load", stream(new(*transformer, dct(inverse_func=stack_global("numpy", "load"))))
    partial = stack_global("functools", "partial")
    yield "partial system", stream(new(*transformer, dct(func=call(partial, system))))
    yield "partial of log", stream(ridge(coef_=call(partial, stack_global("numpy", "log"))))
    yield "partial swapped", stream(
        ridge(coef_=call(partial, stack_global("sklearn.utils.validation", "check_array"))
              + tup(stack_global("numpy", "log"), EMPTY_TUPLE, EMPTY_DICT, NONE) + BUILD)
    )  # fmt: skip
    check = stack_global("sklearn.utils.validation", "check_array")
    yield (
        "partial with arguments",
        stream(ridge(coef_=call(partial, check) + tup(check, tup(text("x")), EMPTY_DICT, NONE) + BUILD)),
    )
    for function in ("load", "ndarray"):
        yield (
            f"getattr of numpy.{function}",
            stream(
                call(stack_global("builtins", "getattr"), stack_global("numpy", function), text("_entropy"))
            ),
        )
    yield (
        "getattr of an estimator",
        stream(ridge(coef_=call(stack_global("builtins", "getattr"), ridge(), text("fit")))),
    )
    randint = new("scipy.stats._discrete_distns", "randint_gen")
    yield (
        "getattr of other name",
        stream(ridge(coef_=call(stack_global("builtins", "getattr"), randint, text("rvs")))),
    )
    yield (
        "vectorize of log",
        stream(ridge(coef_=new("numpy", "vectorize", dct(pyfunc=stack_global("numpy", "log"))))),
    )
    yield "vectorize without function", stream(ridge(coef_=new("numpy", "vectorize", dct(cache=NONE))))
    yield "distribution template", stream(
        ridge(coef_=new("scipy.stats._continuous_distns", "norm_gen",
                        dct(_parse_arg_template=text(f"\ndef _parse_args(self): pass\nimport os; os.system('touch {marker}')\n" + "#" * 200))))
    )  # fmt: skip
    yield (
        "distribution short template",
        stream(
            ridge(
                coef_=new(
                    "scipy.stats._continuous_distns", "norm_gen", dct(_parse_arg_template=text("import os"))
                )
            )
        ),
    )
    yield (
        "distribution without template",
        stream(ridge(coef_=new("scipy.stats._continuous_distns", "norm_gen", dct(a=NONE)))),
    )
    yield (
        "distribution other template",
        stream(
            ridge(
                coef_=new(
                    "scipy.stats._continuous_distns", "norm_gen", dct(_parse_arg_template=text(_template()))
                )
            )
        ),
    )
    yield (
        "files of a vectorizer",
        stream(new("sklearn.feature_extraction.text", "CountVectorizer", dct(input=text("filename")))),
    )
    yield (
        "_reconstruct of another class",
        stream(ridge(coef_=call(reconstruct, ridge_class, tup(integer(0)), asm.blob(b"b")))),
    )
    yield (
        "_reconstruct of a shape",
        stream(ridge(coef_=call(reconstruct, ndarray, tup(integer(10**9)), asm.blob(b"b")))),
    )
    yield (
        "_reconstruct of objects",
        stream(ridge(coef_=call(reconstruct, ndarray, tup(integer(0)), asm.blob(b"O")))),
    )
    yield "bytes of a number", stream(ridge(coef_=call(stack_global("builtins", "bytes"), integer(10**10))))
    yield (
        "bytearray of a number",
        stream(ridge(coef_=call(stack_global("builtins", "bytearray"), integer(10**10)))),
    )
    yield (
        "wide range",
        stream(ridge(coef_=call(stack_global("builtins", "range"), integer(0), integer(10**9), integer(1)))),
    )
    yield (
        "encode other codec",
        stream(ridge(coef_=call(stack_global("_codecs", "encode"), text("x"), text("zip")))),
    )
    yield (
        "encode idna bomb",
        stream(ridge(coef_=call(stack_global("_codecs", "encode"), text("ü" * 300), text("idna")))),
    )
    yield "complex of text", stream(ridge(coef_=call(stack_global("builtins", "complex"), text("1" * 500))))
    yield "set of a set", stream(ridge(coef_=call(stack_global("builtins", "set"), text("abc"))))
    yield (
        "slice of objects",
        stream(ridge(coef_=call(stack_global("builtins", "slice"), ridge(), NONE, NONE))),
    )
    yield (
        "reconstructor of object",
        stream(
            call(
                stack_global("copyreg", "_reconstructor"),
                stack_global("builtins", "object"),
                stack_global("builtins", "object"),
                NONE,
            )
        ),
    )
    yield (
        "reconstructor of system",
        stream(
            call(stack_global("copyreg", "_reconstructor"), system, stack_global("builtins", "object"), NONE)
        ),
    )
    yield (
        "reconstructor with base",
        stream(
            call(
                stack_global("copyreg", "_reconstructor"),
                ridge_class,
                stack_global("builtins", "str"),
                text("x"),
            )
        ),
    )
    yield "cython unpickle of another class", stream(
        ridge(coef_=call(stack_global("sklearn._loss._loss", "__pyx_unpickle_CyHuberLoss"),
                         stack_global("sklearn._loss._loss", "CyPinballLoss"), integer(1), NONE))
    )  # fmt: skip
    yield (
        "newObj of another class",
        stream(
            ridge(
                coef_=call(
                    stack_global("sklearn.neighbors._kd_tree", "newObj"),
                    stack_global("sklearn.neighbors._ball_tree", "BallTree"),
                )
            )
        ),
    )
    yield (
        "tree without classes",
        stream(ridge(coef_=call(stack_global("sklearn.tree._tree", "Tree"), integer(3), NONE, integer(1)))),
    )
    yield (
        "bit generator",
        stream(ridge(coef_=call(stack_global("numpy.random._pickle", "__bit_generator_ctor"), text("seed")))),
    )
    yield (
        "generator of a class",
        stream(
            ridge(
                coef_=call(
                    stack_global("numpy.random._pickle", "__generator_ctor"), stack_global("numpy", "float64")
                )
            )
        ),
    )
    yield (
        "index of a class",
        stream(
            ridge(
                coef_=call(
                    stack_global("pandas.core.indexes.base", "_new_Index"),
                    stack_global("pandas", "Categorical"),
                    EMPTY_DICT,
                )
            )
        ),
    )
    yield (
        "default factory",
        stream(
            ridge(coef_=call(stack_global("collections", "defaultdict"), stack_global("numpy", "ndarray")))
        ),
    )
    index = call(
        stack_global("pandas.core.indexes.base", "_new_Index"), stack_global("pandas", "Index"), EMPTY_DICT
    )
    yield (
        "slots of an index",
        stream(ridge(coef_=index + tup(NONE, dct(get_indexer=stack_global("numpy", "log"))) + BUILD)),
    )
    yield (
        "lightgbm old handle",
        stream(ridge(coef_=new("lightgbm.basic", "Booster", dct(handle=integer(4096))))),
    )
    yield "lightgbm handle", stream(ridge(coef_=new("lightgbm.basic", "Booster", dct(_handle=integer(4096)))))
    yield "xgboost handle", stream(ridge(coef_=new("xgboost.core", "Booster", dct(handle=integer(4096)))))
    for name, root in (
        ("text", text("x")), ("none", NONE), ("list", lst(ridge())), ("dict", dct(model=ridge())), ("tuple", tup(ridge())),
        ("kernel", new("sklearn.gaussian_process.kernels", "RBF", dct(length_scale=integer(1)))),
        ("split", new("sklearn.model_selection._split", "KFold", dct(n_splits=integer(2)))),
        ("class", ridge_class), ("function", stack_global("numpy", "log")), ("unfitted", new("sklearn.linear_model._ridge", "Ridge")),
        ("array", asm.plain(np.arange(3))), ("booster", new("lightgbm.basic", "Booster", dct(_handle=text("tree")))),
    ):  # fmt: skip
        yield f"root {name}", stream(root)


def _template() -> str:
    from scipy.stats import beta

    return str(beta.__getstate__()["_parse_arg_template"])


def arrays() -> Iterator[tuple[str, bytes]]:
    """numpy's own state, lied about."""
    reconstruct = call(
        stack_global("numpy._core.multiarray", "_reconstruct"),
        stack_global("numpy", "ndarray"),
        tup(integer(0)),
        asm.blob(b"b"),
    )

    def dtype(code: str, *state: bytes) -> bytes:
        made = call(stack_global("numpy", "dtype"), text(code), asm.FALSE, asm.TRUE)
        return made + tup(*state) + BUILD if state else made

    minus, zero = integer(-1), integer(0)
    simple = (integer(3), text("<"), NONE, NONE, NONE, minus, minus, zero)
    double = dtype("f8", *simple)

    def array(shape: bytes, kind: bytes, data: bytes) -> bytes:
        return stream(ridge(coef_=reconstruct + tup(integer(1), shape, kind, asm.FALSE, data) + BUILD))

    yield "too few bytes", array(tup(integer(4)), double, asm.blob(b"\0" * 8))
    yield "too many bytes", array(tup(integer(1)), double, asm.blob(b"\0" * 80))
    yield "huge shape", array(tup(integer(2**40), integer(2**40)), double, asm.blob(b""))
    yield "overflowing shape", array(tup(integer(2**32), integer(2**32)), double, asm.blob(b""))
    yield "negative shape", array(tup(integer(-1)), double, asm.blob(b"\0" * 8))
    yield "shape of text", array(tup(text("4")), double, asm.blob(b"\0" * 8))
    yield "many dimensions", array(tup(*[integer(1)] * 65), double, asm.blob(b"\0" * 8))
    yield (
        "objects from bytes",
        array(
            tup(integer(1)),
            dtype("O8", integer(3), text("|"), NONE, NONE, NONE, minus, minus, integer(63)),
            asm.blob(b"A" * 8),
        ),
    )
    yield (
        "objects too few",
        array(
            tup(integer(3)),
            dtype("O8", integer(3), text("|"), NONE, NONE, NONE, minus, minus, integer(63)),
            lst(NONE),
        ),
    )
    yield (
        "hidden objects",
        array(
            tup(integer(1)),
            dtype("O8", integer(3), text("|"), NONE, NONE, NONE, minus, minus, zero),
            asm.blob(b"A" * 8),
        ),
    )
    yield (
        "numbers marked as objects",
        array(
            tup(integer(1)),
            dtype("f8", integer(3), text("<"), NONE, NONE, NONE, minus, minus, integer(63)),
            asm.blob(b"A" * 8),
        ),
    )
    yield "state no tuple", stream(ridge(coef_=reconstruct + EMPTY_DICT + BUILD))
    yield (
        "field outside",
        array(
            tup(integer(1)),
            dtype(
                "V8",
                integer(3),
                text("|"),
                NONE,
                tup(text("a")),
                dct(a=tup(double, integer(4))),
                integer(8),
                integer(1),
                integer(16),
            ),
            asm.blob(b"A" * 8),
        ),
    )
    yield (
        "field of objects",
        array(
            tup(integer(1)),
            dtype(
                "V8",
                integer(3),
                text("|"),
                NONE,
                tup(text("a")),
                dct(a=tup(dtype("O8"), zero)),
                integer(8),
                integer(1),
                integer(27),
            ),
            asm.blob(b"A" * 8),
        ),
    )
    yield (
        "two sizes",
        array(
            tup(integer(1)),
            dtype("f8", integer(3), text("<"), NONE, NONE, NONE, integer(800), integer(1), zero),
            asm.blob(b"A" * 8),
        ),
    )
    yield (
        "subarray",
        array(
            tup(integer(1)),
            dtype(
                "V8",
                integer(3),
                text("|"),
                tup(double, tup(integer(10**6))),
                NONE,
                NONE,
                integer(8),
                integer(1),
                zero,
            ),
            asm.blob(b"A" * 8),
        ),
    )
    yield (
        "type metadata",
        array(tup(integer(1)), dtype("f8", integer(4), *simple[1:], dct(a=NONE)), asm.blob(b"A" * 8)),
    )
    yield "type code", array(tup(integer(1)), dtype("f8,f8"), asm.blob(b"A" * 16))
    yield (
        "type by evaluation",
        array(tup(integer(1)), dtype("{'names':['a'],'formats':['O']}"), asm.blob(b"A" * 8)),
    )
    yield "endless type", array(tup(integer(1)), dtype("V999999"), asm.blob(b"A" * 8))
    yield "type built twice", array(tup(integer(1)), double + tup(*simple) + BUILD, asm.blob(b"A" * 8))
    yield "type built after use", stream(
        ridge(coef_=reconstruct + tup(integer(1), tup(integer(1)), dtype("V8") + b"q\x07", asm.FALSE, asm.blob(b"A" * 8)) + BUILD)
        + b"h\x07" + tup(integer(3), text("|"), NONE, tup(text("a")), dct(a=tup(dtype("i8"), zero)), integer(8), integer(1), integer(16)) + BUILD + POP
    )  # fmt: skip
    yield (
        "scalar of objects",
        stream(
            ridge(
                coef_=call(stack_global("numpy._core.multiarray", "scalar"), dtype("O8"), asm.blob(b"A" * 8))
            )
        ),
    )
    yield (
        "scalar too short",
        stream(ridge(coef_=call(stack_global("numpy._core.multiarray", "scalar"), double, asm.blob(b"A")))),
    )
    frombuffer = stack_global("numpy._core.numeric", "_frombuffer")
    yield (
        "buffer too short",
        stream(ridge(coef_=call(frombuffer, asm.blob(b"A" * 8), double, tup(integer(9)), text("C"))), 5),
    )
    yield (
        "buffer of objects",
        stream(ridge(coef_=call(frombuffer, asm.blob(b"A" * 8), dtype("O8"), tup(integer(1)), text("C"))), 5),
    )


def bombs() -> Iterator[tuple[str, bytes]]:
    """Small files that would take much memory or time."""
    yield "memo index", stream(NONE + b"r\xff\xff\xff\x7f")
    yield "memo index in text", b"Np2147483647\n."
    yield "endless bytes", stream(b"\x8e" + struct.pack("<Q", 2**60))
    yield "endless text", stream(b"\x8d" + struct.pack("<Q", 2**60))
    yield "endless bytearray", stream(b"\x96" + struct.pack("<Q", 2**62), 5)
    yield "negative length", stream(b"\x8b\xff\xff\xff\xff")
    yield "long integer", stream(ridge(coef_=b"\x8b" + struct.pack("<i", 10**6) + b"\x7f" * 10**6))
    yield "long integer in text", b"L" + b"9" * 200_000 + b"L\n."
    yield "integer of many digits", b"I" + b"9" * 5000 + b"\n."
    yield "endless frame", proto(4) + b"\x95" + struct.pack("<Q", 2**63) + NONE + STOP
    yield "deep lists", stream(ridge(coef_=EMPTY_LIST * 50_000 + NONE + APPEND * 50_000))
    yield "deep tuples", stream(ridge(coef_=EMPTY_TUPLE + b"\x85" * 200_000))
    yield "deep key", stream(ridge(coef_=EMPTY_DICT + EMPTY_TUPLE + b"\x85" * 3_000 + NONE + SETITEM))
    yield "many marks", stream(MARK * 100_000)
    laughs = EMPTY_LIST + MEMOIZE
    for level in range(40):
        laughs += EMPTY_LIST + MARK + (b"h" + bytes([level])) * 10 + APPENDS + MEMOIZE
    yield "billion laughs", stream(ridge(coef_=laughs + b"\x85" * 0))
    wide = EMPTY_TUPLE + MEMOIZE
    for level in range(200):
        wide += b"h" + bytes([level]) + b"h" + bytes([level]) + b"\x86" + MEMOIZE
    yield "binary tuples", stream(ridge(coef_=wide))
    step = 2**61 - 1
    keys = b"".join(integer(step * index) + NONE for index in range(12_000))
    yield "colliding keys", stream(ridge(coef_=EMPTY_DICT + MARK + keys + b"u"))
    yield "set of a list", stream(ridge(coef_=lst(EMPTY_DICT + EMPTY_LIST + NONE + SETITEM)))


def broken() -> Iterator[tuple[str, bytes]]:
    whole = pickle.dumps(_forest(), 4)
    for share in range(1, 40):
        yield f"cut at {share}/40", whole[: len(whole) * share // 40]
    yield "no stop", whole[:-1]
    yield "no stop, one value", proto(4) + NONE
    yield "underflow", stream(REDUCE)
    yield "underflow within a mark", stream(NONE + MARK + b"\x86")
    yield "mark missing", stream(b"t")
    yield "two values", stream(NONE + NONE)
    yield "open mark", stream(MARK + NONE)
    yield "unknown memo", stream(b"h\x63")
    yield "protocol 6", b"\x80\x06N."
    yield "protocol twice", proto(4) + proto(4) + NONE + STOP
    yield "unknown opcode", stream(b"\xff")
    yield "odd dict", stream(EMPTY_DICT + MARK + text("a") + b"u")
    yield "bad utf-8", stream(b"X\x02\x00\x00\x00\xff\xfe")
    yield "bad number", b"I0x10\n."
    yield "bad long", b"L10\n."
    yield "bad float", b"Fone\n."
    yield (
        "frame in frame",
        proto(4) + b"\x95" + struct.pack("<Q", 20) + b"\x95" + struct.pack("<Q", 2) + NONE + STOP,
    )
    body = short_text("x" * 50)
    yield "value over frame end", proto(4) + b"\x95" + struct.pack("<Q", 10) + body + STOP
    yield "stop within frame", proto(4) + b"\x95" + struct.pack("<Q", 100) + ridge() + STOP + b" " * 200
    yield "trailing byte", stream(ridge()) + b"\n"
    yield "text", b"just a few words about the model\n"
    yield "json", b'{"model": "RandomForestClassifier"}'
    yield "python", b"import os\nprint(1)\n"
    yield "csv", b"a,b\n1,2\n"
    yield "hdf5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100
    yield "zeros", b"\0" * 1000
    yield "noise", bytes(np.random.default_rng(1).integers(0, 256, 5000, dtype=np.uint8))
    yield "elf", b"\x7fELF" + b"\0" * 64
    yield "npy", _npy()
    yield "zlib of text", zlib.compress(b"hello " * 100)
    yield "gzip of nothing", gzip.compress(b"")


def _npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(4))
    return buffer.getvalue()


def _forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(3, random_state=0).fit(np.arange(40.0).reshape(20, 2), [0, 1] * 10)


def compressed(marker: str) -> Iterator[tuple[str, bytes]]:
    """Hostile streams under each compression, and streams that inflate without end."""
    from lz4 import frame

    ways = {
        "zlib": zlib.compress, "gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
        "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE), "lz4": frame.compress,
    }  # fmt: skip
    attack = stream(call(line_global("os", "system"), payload(marker)))
    bomb = proto(4) + b"\x8e" + struct.pack("<Q", 80 << 20) + b"\0" * (80 << 20) + STOP
    good = pickle.dumps(_forest())
    for name, way in ways.items():
        yield f"{name} attack", way(attack)
        yield f"{name} within {name}", way(way(attack))
        yield f"{name} bomb", way(bomb)
        yield f"{name} cut", way(good)[:-9]
        yield f"{name} twice", way(good) + way(attack)
        yield f"{name} trailing", way(good) + b"\0"
        yield f"{name} damaged", _flip(way(good))
    yield "zlib with dictionary", b"\x78\xbb" + b"\0" * 50
    yield "lzma huge dictionary", b"\x5d\x00\x00\x00\xff" + b"\xff" * 8 + b"\0" * 50


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x55, data[middle + 1] ^ 0xAA]) + data[middle + 2 :]


def joblib_streams(marker: str) -> Iterator[tuple[str, bytes]]:
    """What joblib writes between the opcodes, abused."""
    attack = stream(call(line_global("os", "system"), payload(marker)))

    def wrapper(
        shape: bytes = tup(integer(1)), code: str = "f8", extra: dict[str, bytes] | None = None
    ) -> bytes:
        kind = "<" if code != "O8" else "|"
        flags = integer(63 if code == "O8" else 0)
        dtype = call(stack_global("numpy", "dtype"), text(code), asm.FALSE, asm.TRUE) + tup(
            integer(3), text(kind), NONE, NONE, NONE, integer(-1), integer(-1), flags
        ) + BUILD  # fmt: skip
        state = {"subclass": stack_global("numpy", "ndarray"), "shape": shape, "order": text("C"), "dtype": dtype,
                 "allow_mmap": asm.TRUE} | (extra or {})  # fmt: skip
        return new("joblib.numpy_pickle", "NumpyArrayWrapper", dct(**state))

    def around(wrapped: bytes, data: bytes) -> bytes:
        """An estimator whose `coef_` is the wrapped array."""
        head = (
            proto(3)
            + stack_global("sklearn.linear_model._ridge", "Ridge")
            + EMPTY_TUPLE
            + NEWOBJ
            + EMPTY_DICT
        )
        return head + text("coef_") + wrapped + data + SETITEM + BUILD + STOP

    yield "nested attack", around(wrapper(code="O8"), attack)
    yield "nested in nested", around(wrapper(code="O8"), proto(2) + wrapper(code="O8") + attack + STOP)
    yield "nested no array", around(wrapper(code="O8"), stream(ridge()))
    yield "data missing", around(wrapper(shape=tup(integer(10**6))), b"\0" * 8)
    yield "data short by one", around(wrapper(), b"\0" * 7)
    yield "huge", around(wrapper(shape=tup(integer(2**40))), b"\0" * 8)
    yield "negative", around(wrapper(shape=tup(integer(-5))), b"\0" * 8)
    yield "odd class", around(wrapper(extra={"subclass": stack_global("numpy.ma", "MaskedArray")}), b"\0" * 8)
    yield "class system", around(wrapper(extra={"subclass": line_global("os", "system")}), b"\0" * 8)
    yield "odd alignment", around(wrapper(extra={"numpy_array_alignment_bytes": integer(10**6)}), b"\0" * 8)
    yield "wide padding", around(wrapper(extra={"numpy_array_alignment_bytes": integer(16)}), b"\xff" * 264)
    yield "method replaced", around(wrapper(extra={"read": stack_global("numpy", "log")}), b"\0" * 8)
    yield "order", around(wrapper(extra={"order": text("K")}), b"\0" * 8)
    body = wrapper()
    framed = proto(4) + b"\x95" + struct.pack("<Q", len(body) + 5) + body + b"\0" * 8 + STOP
    yield "array inside a frame", framed
    yield (
        "old wrapper",
        stream(new("joblib.numpy_pickle", "NDArrayWrapper", dct(filename=text("/etc/passwd")))),
    )
    yield (
        "old wrapper, compat",
        stream(new("joblib.numpy_pickle_compat", "NDArrayWrapper", dct(filename=text("x.npy")))),
    )
    yield "old compressed form", b"ZF" + b"0x10               " + zlib.compress(attack)
    yield "wrapper as root", proto(3) + wrapper() + b"\0" * 8 + STOP
    yield "wrapper as a value", stream(ridge(coef_=new("joblib.numpy_pickle", "NumpyArrayWrapper")))


def everything(marker: str) -> dict[str, bytes]:
    """All of them by name."""
    sources = {
        "gadget": gadgets(marker), "opcode": opcode_families(marker), "misuse": misuse(marker), "array": arrays(),
        "bomb": bombs(), "broken": broken(), "compressed": compressed(marker), "joblib": joblib_streams(marker),
    }  # fmt: skip
    found: dict[str, bytes] = {}
    for source, files in sources.items():
        for name, content in files:
            key = f"{source}: {name}"
            assert key not in found, key
            found[key] = content
    return found
