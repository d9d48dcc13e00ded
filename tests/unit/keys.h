/* SPDX-License-Identifier: ISC */
/*
 * keys -- private keys that everybody knows, for tests.  None of them is used
 * anywhere else; the Ed25519 seed is that of RFC 8032 7.1 test 1 and RFC 8463 A.2.
 */
#ifndef TESTS_KEYS_H
#define TESTS_KEYS_H

static const char KEY_RSA_2048_PEM[] =                  /* PKCS#8 */
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCjpkYZgMdNbNc1\n"
    "jeQO87ZMvo1qjSw3G4PzaAF4tD6xcpGw/82XuPK7HKwMHQ1/RDuDfTuHH7FgbIi6\n"
    "Vs/f8+P+dyJUYxpcZBIxmYyXXC7n/nq1Kfq+YcOanC9O1w3l0I0EFo9ijD+F15jV\n"
    "t6V8woBx0HHm4AEjiUMHc3KH+jryG7TJ7QjyZWAGIY8KOeLuNIpSQk8hr+eRRl2y\n"
    "wBXg2Lmk8brPcMkM0LTRS4YRXlSW0K0/H6cUkSss7xLrMztzOauH27653TKB8hwo\n"
    "iHIPgD8CI+m3mfWB027nSntFrPJ5+sPRnuj4kFf+PGy6HQ0ubD94PvqGV+hngxHV\n"
    "+SiiptABAgMBAAECggEAD+goXa+/D6dR9uZrIcnuMSD/iXkd8GBYD9eO9w7cHi7y\n"
    "+ueucf4799SWY5oKVxHIkCQi3mRF/0eldaldDNl90pz9ZQL6C7t9aj1Q5WCEPbAm\n"
    "eMgTE6DYnMVsMsdkFi/SmTBhMRTNUuLtO+7dItacGhQHEkg5TB06OvXtjsqTordH\n"
    "bQB2JAn3OXHFctuwUUzqD3IGFvWLNATuLjbpNKfooKaCNA4910+d8T+1fYS/KnFF\n"
    "UIqrUFYIZFYuC3bi1PiGGB4RLHyBFyo2tnJNGVK7F4n6+ln6pZwxAGbmd0d1uHl0\n"
    "w/jdT2RctcTs4fk4+n8Un2qXzAxhXWzTiz+SX9iQrQKBgQDPGstx7k1FpQWNbJjy\n"
    "DOEql+12udoaQWjx15iUDrF4B6xp8GkC1FAPouc+XUUPd40Xpf42uMFnNo0iyd4c\n"
    "PnP0ckw8mDUbj+IC1I810zbjanN8kaRPHOnenen5gsvK2+U0oCEN2LomJesP2X/L\n"
    "1gVCNZe/ot6+eH8X4MPzkMuyxQKBgQDKSRdllhGFnIQGK/b+cZOy0djti2e5S+GN\n"
    "ckh+X0jpUlEgbGZT9RxmLHd60nC1hu2su7O0X+WOwqYzN14hxhf3BAhbws7/VsyK\n"
    "L6yeCP60Q5CyvQ27Y2G3uen9wq56rR31c5f8cvI1+pygZ8Sww7Vwb5VeU+DzIG11\n"
    "POgQVQ+MDQKBgBAIAfGKwb5/XKOq4VfzOUbDxeTn1AMuRwJZbv0e+gvRhD4bFvXa\n"
    "G2xqbr38GElvNqO6/Kedu5LSvTARMjk7eFxWsKIMIihFBfi0HXXMKLaH2fKtj2t0\n"
    "UIIj9SWUQ1Qrm11se8KHoTksvDpY2rSbl4KdhWaXI+jYiPX/NwvWjH4FAoGAOPKO\n"
    "xaiT0juX52zlIgizffoZyfYfA0lbfEiaJAmLKzRjZm9d93Dfx9vo3wjzdgdATgqh\n"
    "srv0klY2F+EUfQmZoY7fE4YqZDP5bUWyoOMDYZhL2iXjAcgesGyEdU4jdKHb90fN\n"
    "l+J8Ubn18iqEcwcFw1uGf4G5qHiOmBzHcCGiONkCgYAqNTBEXxU+94yOn1CS98Mi\n"
    "HspU+IhFjzlVggE2GnsaN3ziKJ6+AgoEmtJoxHSj4kHKAJ2L9u3cjDG0HYTHz5N9\n"
    "nrJI/DCvBDwNhWaYPK96bUGTZ7geXmL5VhwOK/MC6dP/0i/HvnV7LMvGjuFRH61W\n"
    "i7RQG1uXnQlnvrwLvZ4t8w==\n"
    "-----END PRIVATE KEY-----\n";

static const char KEY_RSA_1024_PEM[] =                  /* PKCS#1 */
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIICXgIBAAKBgQDJDvDI/o4WS5Hhjk2qPxfI1fwL/2UUds90excoYAXpPmRvgE7u\n"
    "lmSr785H+5LPCGr6e3qLEYRICAAfD6/xyaZIyjJrQBPKKlaV1ekT9oePgdhYs/Ko\n"
    "cOK7u8A54yR0NXvFA3AXUYqnvV7tsOiOqLQ2alUqyZkiQqdvM24USkILEQIDAQAB\n"
    "AoGBALsCuJhbnZHDTLd+A2NdOCRIVR5buYslT6VKcKnPVvAyZn0H3WMyZAVBEqAF\n"
    "sfH8JHVDsSH1cxMEzggWMVM2ewEHF+X0BeiW+Hp+znKzkG+YpXM0cTxnyEYb8v0A\n"
    "Q9XIHf4PEsYevPcT1YO/IsRlvEg2anBAvuGOHRx+E+CuYkgBAkEA7IBkNsrnXJ0l\n"
    "SPNyPoHnnO5B1QTbDsiSNTkQCgfG7tMdvTnDq5PB9FZ92gv9Xdc0x9dsNW5QB7nT\n"
    "tvcghxVGwQJBANmifAmuGBOCUVm6iW2gGI6OvW+yNMpKr1uac9cK1AwKo1bFoRum\n"
    "W7LbRIFFdYObCgF9+hDF/uJ7RCM89fQYqFECQHCvNBCPWPFdxrgdlp+F0c+KDj/r\n"
    "ElzW4CMPzz6YOgbs/Ex+y2Zi/pTm6QwNjmk58uINGHfU2bj0p5WT5iG214ECQQCs\n"
    "we2CZZ8ZBW58MrXavqYfq7E2lBiRqB1xMrbXsfHHKT6lp7WO1EygOqwzjaaN9KlJ\n"
    "q+2wGOuObtkUu9RlkpkxAkEAn+4jcv4ZsaYicCPaJ8TOzoK+o3+G2dsxgSgdasED\n"
    "SXfmJTgwhLWIqRkE0omGaZlR4rXetjOg6iUbqmcJhGxZQw==\n"
    "-----END RSA PRIVATE KEY-----\n";

static const char KEY_ED25519_PEM[] =                   /* PKCS#8 */
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";

static const char KEY_ED25519_SEED[] = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n";
static const char KEY_ED25519_RECORD[] =
    "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

#endif
