/* Sums of Zernike polynomials over the pixels of objects.
 *
 * For each pixel the arithmetic is that of centrosome.zernike with numpy: the radial
 * polynomial by Horner's rule from zero, powers of the complex position as numpy's
 * npy_cpow computes whole powers (a square of squares for each bit, from the lowest),
 * real times complex. What a product with the other's zero imaginary part would add is
 * a zero, and a sum that begins at zero does not show a zero's sign; the caller sees to
 * it that no position is infinite. Each sum adds its pixels in the order they come in, as
 * numpy.bincount does.
 */
#include "common.h"

enum { MOST = 64 };

typedef struct {
    double re, im;
} number;

static number times(number a, number b)
{
    number product = {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    return product;
}

/* z to the powers 1 ... most */
static void powers(number z, int64_t most, number *power)
{
    number square[8];
    int bits = 0;
    for (int64_t bit = 1; bit <= most; bit <<= 1, bits++)
        square[bits] = bits ? times(square[bits - 1], square[bits - 1]) : z;
    for (int64_t m = 1; m <= most; m++) {
        int begun = 0;
        for (int b = 0; b < bits; b++)
            if (m >> b & 1) {
                power[m] = begun ? times(power[m], square[b]) : square[b];
                begun = 1;
            }
    }
}

/* object: where a pixel's sums are; x, y: its position in the unit circle of the object;
 * weight: of each pixel, or null; terms, count: the coefficients of each polynomial, and
 * how many there are; order: its m, at most most; sums: objects x polynomials x 2.
 * Returns 0, or -1 where an order is beyond what is foreseen. */
EXPORT int64_t cpengine_zernike(
    int64_t pixels, const int64_t *object, const double *y, const double *x,
    const double *weight, int64_t polynomials, const double *terms, int64_t width,
    const int64_t *count, const int64_t *order, int64_t most, double *sums)
{
    number power[MOST];
    if (most >= MOST)
        return -1;
    for (int64_t i = 0; i < pixels; i++) {
        const number z = {y[i], x[i]};
        const double square = x[i] * x[i] + y[i] * y[i];
        const double zero = 0.0 * square; /* not a number where the square is none */
        double *sum = sums + object[i] * polynomials * 2;
        powers(z, most, power);
        for (int64_t k = 0; k < polynomials; k++, sum += 2) {
            const double *term = terms + k * width;
            double radial = zero + term[0];
            for (int64_t step = 1; step < count[k]; step++)
                radial = radial * square + term[step];
            if (square > 1)
                radial = 0;
            const number part = {
                order[k] ? radial * power[order[k]].re : radial,
                order[k] ? radial * power[order[k]].im : 0};
            sum[0] += weight ? weight[i] * part.re : part.re;
            sum[1] += weight ? weight[i] * part.im : part.im;
        }
    }
    return 0;
}
