namespace TinyZsad.Imaging;

/// <summary>Reads the coefficients of a scan, a row of the frame's MCUs at a time.</summary>
internal unsafe ref struct JpegScanDecoder
{
    private readonly JpegScan scan;
    private readonly JpegCoefficients coefficients;
    private readonly int restartInterval;

    /// <summary>The blocks of an MCU.</summary>
    private readonly McuBlock[] mcu;

    /// <summary>The last DC coefficient of each component of the scan.</summary>
    private readonly int[] last;
    private JpegBitReader reader;

    /// <summary>The number of MCUs that were read, and of those until the next restart marker.</summary>
    private long done;
    private int toRestart;
    private int restarts;

    /// <summary>The number of following blocks whose band is empty.</summary>
    private int endedBlocks;

    /// <param name="jpeg">The file.</param>
    /// <param name="scan">The scan.</param>
    /// <param name="restartInterval">The MCUs between restart markers; 0 if there are none.</param>
    /// <param name="coefficients">Receives the coefficients.</param>
    /// <param name="buffer">Memory of <see cref="JpegBitReader.NeededBytes"/>.</param>
    public JpegScanDecoder(ReadOnlySpan<byte> jpeg, JpegScan scan, int restartInterval, JpegCoefficients coefficients,
        byte* buffer)
    {
        (this.scan, this.restartInterval, this.coefficients) = (scan, restartInterval, coefficients);
        reader = new JpegBitReader(jpeg, scan.Segment.End, buffer);
        this.last = new int[scan.Components.Length];
        toRestart = restartInterval;
        this.mcu = [.. scan.Components.SelectMany((c, i) => Enumerable
            .Range(0, scan.Interleaved ? c.Component.H * c.Component.V : 1)
            .Select(b => new McuBlock(c.Component, i, b % c.Component.H, b / c.Component.H, c.Dc, c.Ac)))];
    }

    /// <summary>The offset at which to look for the marker after the scan.</summary>
    public readonly int Offset => reader.Offset;

    /// <summary>Reads a row of the frame's MCUs.</summary>
    public void ReadRow(int row)
    {
        int blockRows = this.scan.Interleaved ? 1 : this.scan.Components[0].Component.V;
        int end = Math.Min((row + 1) * blockRows, this.scan.McusHigh);
        for (int y = row * blockRows; y < end; y++)
        {
            ReadMcus(y);
        }
    }

    /// <summary>Checks that the data did not end before the last MCU.</summary>
    public readonly void RequireEnd()
    {
        if (!reader.IsWithinData)
        {
            throw EndedEarly();
        }
    }

    private void ReadMcus(int row)
    {
        // The addresses of the blocks of the MCU, and the distances to the next MCU.
        int blocks = this.mcu.Length;
        short** at = stackalloc short*[blocks];
        ulong** nonzero = stackalloc ulong*[blocks];
        int* step = stackalloc int[blocks];
        for (int i = 0; i < blocks; i++)
        {
            McuBlock block = this.mcu[i];
            int blockRow = this.scan.Interleaved ? row * block.Component.V + block.Y : row;
            step[i] = this.scan.Interleaved ? block.Component.H : 1;
            at[i] = this.coefficients.Row(block.Component, blockRow) + block.X * JpegCoefficients.BlockSize;
            nonzero[i] = this.coefficients.NonzeroRow(block.Component, blockRow) + block.X;
        }

        for (int mcu = 0; mcu < this.scan.McusWide; mcu++)
        {
            if (this.restartInterval > 0 && toRestart-- == 0)
            {
                Restart();
            }

            if (!reader.Prepare())
            {
                throw EndedEarly();
            }

            for (int i = 0; i < blocks; i++)
            {
                ReadBlock(in this.mcu[i], at[i], nonzero[i]);
                at[i] += step[i] * JpegCoefficients.BlockSize;
                nonzero[i] += step[i];
            }

            done++;
        }
    }

    private void ReadBlock(in McuBlock block, short* coefficients, ulong* nonzero)
    {
        ref BitBuffer bits = ref reader.Bits;
        int shift = this.scan.Shift;
        switch (this.scan.Kind)
        {
            case JpegScanKind.Sequential:
                ReadDc(block, coefficients, 0);
                RequireSound(CoefficientReader.ReadBand(ref bits, block.Ac!, coefficients, 1, 64, 0, ref *nonzero), 1);
                break;
            case JpegScanKind.DcFirst:
                ReadDc(block, coefficients, shift);
                break;
            case JpegScanKind.DcRefined:
                bits.Refill();
                coefficients[0] |= (short)(bits.Take(1) << shift);
                break;
            case JpegScanKind.AcFirst when endedBlocks > 0:
            case JpegScanKind.AcRefined when endedBlocks > 0 && (*nonzero & this.scan.Band) == 0:
                endedBlocks--;
                break;
            case JpegScanKind.AcFirst:
                int ended = CoefficientReader.ReadBand(
                    ref bits, block.Ac!, coefficients, this.scan.Start, this.scan.End, shift, ref *nonzero);
                RequireSound(ended, int.MaxValue);
                endedBlocks = Math.Max(ended - 1, 0);
                break;
            default:
                ended = CoefficientReader.RefineBand(
                    ref bits, block.Ac!, coefficients, this.scan.Start, this.scan.End, shift, ref *nonzero, endedBlocks);
                RequireSound(ended, int.MaxValue);
                endedBlocks = Math.Max(ended - 1, 0);
                break;
        }
    }

    private void ReadDc(in McuBlock block, short* coefficients, int shift)
    {
        ref int last = ref this.last[block.Index];
        if (!CoefficientReader.ReadDc(ref reader.Bits, block.Dc!, ref last))
        {
            RequireSound(CoefficientReader.BadCode, 0);
        }

        coefficients[0] = (short)(last << shift);
    }

    private void Restart()
    {
        byte expected = (byte)(JpegMarker.Rst0 + restarts++ % 8);
        if (!reader.IsWithinData)
        {
            throw EndedEarly();
        }

        if (!reader.Restart(expected, out JpegSegment? found))
        {
            throw FormatError.Jpeg(reader.Offset, $"in the scan of {this.scan.Segment}, {JpegMarker.Name(expected)} should follow " +
                $"MCU {done} of {Mcus}; there is {(found is null ? "no marker" : found)}.");
        }

        Array.Clear(this.last);
        endedBlocks = 0;
        toRestart = this.restartInterval - 1;
    }

    private readonly void RequireSound(int blocks, int most)
    {
        if ((uint)blocks > (uint)most)
        {
            // The zeros after the end of the data may be an invalid code.
            throw !reader.IsWithinData ? EndedEarly() : FormatError.Jpeg(reader.Offset,
                $"the scan of {this.scan.Segment} is damaged in MCU {done} of {Mcus}, before offset {reader.Offset}: " +
                (blocks == CoefficientReader.TooManyZeros ? "a run of zeros leads out of a block." : "some bits are no code."));
        }
    }

    private readonly ImageFormatException EndedEarly() => FormatError.Jpeg(reader.Offset,
        $"the data of the scan of {this.scan.Segment} end at offset {reader.Offset}, after {done} of {Mcus} MCUs at most; " +
        "the file is cut off or damaged.");

    private readonly long Mcus => (long)this.scan.McusWide * this.scan.McusHigh;

    /// <summary>Represents a block of an MCU: the component, its position, and the Huffman codes.</summary>
    private readonly record struct McuBlock(
        JpegComponent Component, int Index, int X, int Y, HuffmanCode? Dc, HuffmanCode? Ac);
}
