package hwprobe

import (
	"slices"

	"github.com/klauspost/cpuid/v2"
)

// featureNames maps cpuid's features to the names of /proc/cpuinfo (arch/x86/include/asm/cpufeatures.h,
// arch/arm64/kernel/cpuinfo.c), so that a manifest's cpu_features mean the same on every system.
var featureNames = map[cpuid.FeatureID]string{
	cpuid.ADX: "adx", cpuid.AESNI: "aes", cpuid.AMXBF16: "amx_bf16", cpuid.AMXFP16: "amx_fp16", cpuid.AMXINT8: "amx_int8",
	cpuid.AMXTILE: "amx_tile", cpuid.AMXCOMPLEX: "amx_complex", cpuid.APX_F: "apx", cpuid.AVX: "avx", cpuid.AVX10: "avx10",
	cpuid.AVX2: "avx2", cpuid.AVX512BF16: "avx512_bf16", cpuid.AVX512BITALG: "avx512_bitalg", cpuid.AVX512BW: "avx512bw",
	cpuid.AVX512CD: "avx512cd", cpuid.AVX512DQ: "avx512dq", cpuid.AVX512ER: "avx512er", cpuid.AVX512F: "avx512f",
	cpuid.AVX512FP16: "avx512_fp16", cpuid.AVX512IFMA: "avx512ifma", cpuid.AVX512PF: "avx512pf", cpuid.AVX512VBMI: "avx512vbmi",
	cpuid.AVX512VBMI2: "avx512_vbmi2", cpuid.AVX512VL: "avx512vl", cpuid.AVX512VNNI: "avx512_vnni",
	cpuid.AVX512VP2INTERSECT: "avx512_vp2intersect", cpuid.AVX512VPOPCNTDQ: "avx512_vpopcntdq", cpuid.AVXIFMA: "avx_ifma",
	cpuid.AVXNECONVERT: "avx_ne_convert", cpuid.AVXVNNI: "avx_vnni", cpuid.AVXVNNIINT8: "avx_vnni_int8",
	cpuid.AVXVNNIINT16: "avx_vnni_int16", cpuid.BMI1: "bmi1", cpuid.BMI2: "bmi2", cpuid.CLMUL: "pclmulqdq", cpuid.CMOV: "cmov",
	cpuid.CX16: "cx16", cpuid.ERMS: "erms", cpuid.F16C: "f16c", cpuid.FMA3: "fma", cpuid.FMA4: "fma4", cpuid.FXSR: "fxsr",
	cpuid.GFNI: "gfni", cpuid.HYPERVISOR: "hypervisor", cpuid.LZCNT: "abm", cpuid.MMX: "mmx", cpuid.MOVBE: "movbe",
	cpuid.POPCNT: "popcnt", cpuid.RDRAND: "rdrand", cpuid.RDSEED: "rdseed", cpuid.SHA: "sha_ni", cpuid.SSE: "sse",
	cpuid.SSE2: "sse2", cpuid.SSE3: "pni", cpuid.SSE4: "sse4_1", cpuid.SSE42: "sse4_2", cpuid.SSE4A: "sse4a", cpuid.SSSE3: "ssse3",
	cpuid.VAES: "vaes", cpuid.VPCLMULQDQ: "vpclmulqdq", cpuid.XOP: "xop", cpuid.XSAVE: "xsave",

	cpuid.AESARM: "aes", cpuid.ASIMD: "asimd", cpuid.ASIMDDP: "asimddp", cpuid.ASIMDHP: "asimdhp", cpuid.ASIMDRDM: "asimdrdm",
	cpuid.ATOMICS: "atomics", cpuid.CRC32: "crc32", cpuid.DCPOP: "dcpop", cpuid.FCMA: "fcma", cpuid.FHM: "asimdfhm", cpuid.FP: "fp",
	cpuid.FPHP: "fphp", cpuid.JSCVT: "jscvt", cpuid.LRCPC: "lrcpc", cpuid.PMULL: "pmull", cpuid.SHA1: "sha1", cpuid.SHA2: "sha2",
	cpuid.SHA3: "sha3", cpuid.SHA512: "sha512", cpuid.SM3: "sm3", cpuid.SM4: "sm4", cpuid.SVE: "sve", cpuid.SVE2: "sve2",
	cpuid.BF16: "bf16", cpuid.I8MM: "i8mm", cpuid.SSBS: "ssbs", cpuid.SB: "sb", cpuid.BTI: "bti", cpuid.MOPS: "mops",
}

// alias are names that people write for one that /proc/cpuinfo uses; both are listed.
var alias = map[string]string{"pni": "sse3", "abm": "lzcnt", "asimd": "neon"}

// cpuidFeatures asks the processor itself. cpuid reports AVX and its kin only when the system saves their registers.
func cpuidFeatures() []string {
	var out []string
	for id, name := range featureNames {
		if cpuid.CPU.Has(id) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// mergeFeatures joins what every core offers by the kernel's word (every), and what cpuid saw on the core that it
// happened to run on. What the kernel lists for some cores only (any) is not taken from cpuid.
func mergeFeatures(every, any, seen []string) []string {
	out := slices.Clone(every)
	for _, f := range seen {
		if !slices.Contains(any, f) {
			out = append(out, f)
		}
	}
	for _, f := range slices.Clone(out) {
		if a, ok := alias[f]; ok {
			out = append(out, a)
		}
	}
	slices.Sort(out)
	return append([]string{}, slices.Compact(out)...)
}
